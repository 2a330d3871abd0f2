// SPDX-License-Identifier: Apache-2.0
// The terminal summary of a scenario, at most about 100 columns wide.
#include <algorithm>
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "scenarios/fault_units.h"
#include "scenarios/ops.h"
#include "scenarios/plan_show.h"
#include "scenarios/quantity_text.h"
#include "scenarios/scenario.h"
#include "scenarios/site_power.h"
#include "scenarios/text_layout.h"

namespace lindos {
namespace {

constexpr std::size_t kWidth = 100;

// "2,343 racks + 6 nodes": whole containers and the nodes of the last, partial one.
std::string tiled(std::int64_t nodes, std::int64_t nodes_per_container, const std::string& noun) {
  if (nodes_per_container == 0) return "–";
  const std::int64_t whole = nodes / nodes_per_container;
  const std::int64_t rest = nodes % nodes_per_container;
  if (rest == 0) return plural(whole, noun);
  return (whole == 0 ? "" : plural(whole, noun) + " + ") + plural(rest, "node");
}

std::string percent(double share) { return number_text(share * 100.0, 3) + " %"; }

template <class Q>
std::string about(Q value) {
  return format(rounded_quantity(value));
}

std::string fleet(const Scenario& s) {
  std::int64_t nodes = 0;
  for (const Pool& p : s.cluster.pools) nodes += p.nodes;
  std::string out = "\nFleet  " + s.cluster.name + ": " + plural(s.cluster.devices(), "device") +
                    " in " + plural(nodes, "node") + '\n';
  TextColumns table({false, false, true, true, false, false, true});
  table.row({"pool", "device", "nodes", "devices", "racks", "arrays", "nameplate"});
  const SitePower site = site_power(s);
  for (std::size_t i = 0; i < s.cluster.pools.size(); ++i) {
    const Pool& p = s.cluster.pools[i];
    const Watts power = site.pools[i].nameplate;
    table.row({p.name, std::to_string(p.node.devices) + " × " + p.node.device,
               with_thousands(p.nodes), with_thousands(p.devices()),
               tiled(p.nodes, p.nodes_per_rack, "rack"),
               tiled(p.nodes, std::int64_t{p.nodes_per_rack} * p.racks_per_array, "array"),
               power == Watts{0} ? "–" : about(power)});
  }
  return out + table.str(2);
}

std::string aggregate(const Scenario& s) {
  std::map<Dtype, FlopPerSecond> peak;
  std::map<Dtype, std::int64_t> capable;
  Bytes memory{0};
  BytesPerSecond bandwidth{0};
  for (const Pool& p : s.cluster.pools) {
    const Device& d = s.devices.at(p.node.device);
    const auto n = static_cast<double>(p.devices());
    for (const auto& [dtype, rate] : d.peak) {
      peak[dtype] += rate * n;
      capable[dtype] += p.devices();
    }
    memory += d.memory * n;
    bandwidth += d.memory_bandwidth * n;
  }
  if (peak.empty())
    return "  figures of the device: from the profile of this machine (lindos probe)\n";
  TextColumns table({false, false, false});
  for (const auto& [dtype, rate] : peak) {
    const std::string missing =
        capable[dtype] == s.cluster.devices() ? "" : "on " + plural(capable[dtype], "device");
    table.row({"peak " + std::string(name_of(dtype)) + " ", about(rate) + " dense", missing});
  }
  table.row({"memory", about(memory) + " at " + about(bandwidth), ""});
  return table.str(2);
}

std::string power(const Scenario& s) {
  const SitePower power = site_power(s);
  const Watts it = power.nameplate();
  const Power& limits = power.limits;
  if (it == Watts{0} && limits == Power{}) return "";
  const Watts site = power.at_meter(it);
  std::string out = "  power       nameplate " + about(it);
  if (limits.pue != 1.0) out += " × PUE " + number_text(limits.pue) + " = " + about(site);
  if (limits.site_cap != Watts{0}) {
    out += ", cap " + format(limits.site_cap) + " (" + percent(site / limits.site_cap) + " of it)";
  }
  if (limits.rack_cap != Watts{0}) out += ", rack cap " + format(limits.rack_cap);
  if (limits.device_cap != Watts{0}) out += ", device cap " + format(limits.device_cap);
  return out + '\n';
}

std::string prices(const Scenario& s) {
  std::string out;
  const auto add = [&](const std::string& what, const std::string& price) {
    out += (out.empty() ? "" : ", ") + what + ' ' + price;
  };
  for (const Pool& pool : s.cluster.pools) {
    if (pool.device_price != DollarsPerSecond{0}) add("a device of " + pool.name, format(pool.device_price));
  }
  if (s.cluster.power.energy_price != DollarsPerJoule{0}) add("energy", format(s.cluster.power.energy_price));
  return out.empty() ? out : "  prices      " + wrapped(out, kWidth, 14) + '\n';
}

std::string network(const Scenario& s) {
  const Fabric& f = s.cluster.fabric;
  if (f == Fabric{}) return "";
  std::string out = f.kind;
  if (f.switch_ports > 0) out += ", " + std::to_string(f.switch_ports) + "-port switches";
  if (f.planes > 1) out += ", " + std::to_string(f.planes) + " planes";
  out += ", oversubscription " + number_text(f.leaf_oversubscription) + " : " +
         number_text(f.spine_oversubscription) + " (leaf : spine), efficiency " +
         percent(f.efficiency);
  if (f.hop_latency != Seconds{0}) out += ", " + format(f.hop_latency) + " per hop";
  return "  fabric      " + wrapped(out, kWidth, 14) + '\n';
}

std::string faults(const Scenario& s) {
  const Faults& f = s.cluster.faults;
  if (f == Faults{}) return "";
  std::string out;
  const Hertz fleet = fleet_fault_rate(s.cluster);
  if (fleet != Hertz{0}) {
    const Seconds interval(1.0 / fleet.value());
    out += "  faults      " + std::to_string(f.classes.size()) +
           (f.classes.size() == 1 ? " class, " : " classes, ") +
           about(fleet / static_cast<double>(s.cluster.devices())) + " per device: one every " +
           number_text(interval.count() / 60.0, 3) + " min over the fleet\n";
  }
  std::string spread = "speed sigma " + percent(f.speed_sigma) + ", " + percent(f.slow_share) +
                       " of nodes at " + number_text(f.slow_factor) + "x, " +
                       percent(f.thermal_share) + " at " + number_text(f.thermal_factor) +
                       "x by heat, jitter sigma " + percent(f.jitter_sigma);
  if (!f.episodes.empty()) {
    spread += ", " + plural(static_cast<std::int64_t>(f.episodes.size()), "kind") +
              " of fail-slow episode";
  }
  out += "  spread      " + wrapped(spread, kWidth, 14) + '\n';
  out += "  recovery    detect " + format(f.detect) + ", restart " + format(f.restart) +
         ", warm-up " + format(f.warm_up) + "; without a spare the job " +
         (f.without_spare == WithoutSpare::kWait ? "waits" : "shrinks") + '\n';
  return out;
}

std::string storage(const Scenario& s) {
  const Storage& st = s.cluster.storage;
  if (st == Storage{}) return "";
  std::string out =
      "  storage     write " + format(st.write_bandwidth) + ", read " + format(st.read_bandwidth);
  if (st.node_bandwidth != BytesPerSecond{0})
    out += ", at most " + format(st.node_bandwidth) + " per node";
  return out + '\n';
}

std::string checkpoint(const CheckpointPolicy& c) {
  if (c == CheckpointPolicy{}) return "";
  const auto about_time = [](Seconds time) {
    return time < Seconds{60} ? number_text(time.count(), 3) + " s" : number_text(time.count() / 60.0, 3) + " min";
  };
  std::string out =
      c.interval == Seconds{0} ? "at the best interval" : "every " + format(c.interval);
  out +=
      c.asynchronous ? ", asynchronous, the job stops for " + format(c.blocking) : ", synchronous";
  out += "; software takes " + about_time(c.save_overhead) + " per save, " +
         about_time(c.load_overhead) + " per load";
  return "  checkpoint  " + wrapped(out, kWidth, 14) + '\n';
}

std::string model(const Scenario& s) {
  const Model& m = s.model;
  const std::int64_t all = parameter_count(m);
  std::string out = "\nModel  " + m.name + ": " + with_thousands(all) + " parameters";
  if (m.is_moe()) out += ", " + with_thousands(active_parameter_count(m)) + " active";
  const Bytes stored(static_cast<double>(all) * bytes_of(m.dtype));
  out += ", " + about(stored) + " in " + std::string(name_of(m.dtype)) + '\n';
  out += "  " + plural(m.layers, "layer") + ", hidden " + with_thousands(m.hidden) + ", heads " +
         with_thousands(m.q_heads) + " / " + with_thousands(m.kv_heads) + " KV of " +
         with_thousands(m.head_dim) + ", FFN " + with_thousands(m.ffn) + ",\n  vocabulary " +
         with_thousands(m.vocab) + ", context " + with_thousands(m.max_positions) + '\n';
  if (m.is_moe()) {
    out += "  " + plural(m.moe.experts, "expert") + " of width " +
           with_thousands(m.moe.expert_ffn) + ", top " + std::to_string(m.moe.top_k) + ", " +
           std::to_string(m.moe.shared_experts) + " shared\n";
  }
  return out;
}

std::string length(const LengthRange& range) {
  if (range.low == range.high) return with_thousands(range.low);
  std::string out = with_thousands(range.low) + "–" + with_thousands(range.high);
  if (!range.quantiles.empty()) {
    out += " (median " + with_thousands(range.quantiles[range.quantiles.size() / 2]) + ", by quantiles)";
  } else if (range.median > 0.0) {
    out += " (log-normal, median " + number_text(range.median, 4) + ", sigma " + number_text(range.sigma, 3) + ')';
  }
  return out;
}

std::string traffic(const ServingWorkload& w) {
  switch (w.arrival) {
    case Arrival::kTogether: return "all at once";
    case Arrival::kPoisson: return "Poisson at " + about(w.rate);
    case Arrival::kUniform: return "evenly at " + about(w.rate);
    case Arrival::kClosedLoop: return "closed loop of " + plural(w.concurrency, "client");
    case Arrival::kGamma:
      return "gamma at " + about(w.rate) + ", gaps varying by " + number_text(w.shape.variation, 3);
    case Arrival::kBursty:
      return "at " + about(w.rate) + " in the mean, " + about(w.shape.burst_rate) + " in bursts of " +
             format(w.shape.burst_length) + " (" + percent(w.shape.burst_share) + " of the time)";
    case Arrival::kDiurnal:
      return "at " + about(w.rate) + " in the mean, " + percent(w.shape.swing) + " more at the peak, every " +
             format(w.shape.period);
    case Arrival::kRecorded:
      return "as recorded in " + w.trace.path + " (" + std::string(name_of(w.trace.format)) + ", " +
             plural(w.trace.rows, "row") + "), " + about(w.rate) +
             (w.trace.speed == 1.0 ? "" : " at " + number_text(w.trace.speed, 3) + " times its speed");
  }
  return "";
}

std::string tenant_line(const Tenant& t) {
  std::string out = "tenant " + t.name;
  if (t.share > 0.0) out += ", share " + number_text(t.share, 4);
  if (t.priority != 0) out += ", priority " + std::to_string(t.priority);
  if (t.prompt) out += ", prompt " + length(*t.prompt);
  if (t.output) out += ", output " + length(*t.output);
  if (t.shared_prefix > 0)
    out += ", begin alike for " + plural(t.shared_prefix, "token") + " in " + plural(t.prefix_groups, "group");
  if (t.ttft) out += ", TTFT " + format(*t.ttft);
  if (t.tpot) out += ", TPOT " + format(*t.tpot);
  return out;
}

std::string workload(const Scenario& s) {
  if (s.workload.kind == WorkloadKind::kTraining) {
    const TrainingWorkload& t = s.workload.training;
    return "\nWorkload  synchronous training: " + with_thousands(t.global_batch) +
           " sequences of " + with_thousands(t.sequence) + " tokens per step,\n  micro-batch " +
           with_thousands(t.micro_batch) + ", recompute " + name_of(t.recompute) +
           (t.dropout ? ", dropout" : "") + (t.frozen_weights ? ", frozen weights" : "") + '\n' +
           checkpoint(t.checkpoint);
  }
  const ServingWorkload& w = s.workload.serving;
  std::string out = "\nWorkload  serving: " +
                    (w.duration <= Seconds{0} ? plural(expected_requests(w), "request")
                     : w.arrival == Arrival::kRecorded
                         ? "the first " + format(w.duration)
                         : format(w.duration) + " of traffic, about " + plural(expected_requests(w), "request")) +
                    ", " + traffic(w);
  const std::string tokens = "prompt " + length(w.prompt) + ", output " + length(w.output) + " tokens, seed " +
                             std::to_string(s.workload.seed);
  out += "\n  " + wrapped(tokens, kWidth, 4) + '\n';
  if (w.shared_prefix > 0) {
    out += "  prompts begin alike for " + plural(w.shared_prefix, "token") + " in " + plural(w.prefix_groups, "group") +
           '\n';
  }
  if (w.expert_skew) out += "  experts are chosen by a power law of exponent " + number_text(*w.expert_skew) + '\n';
  for (const Tenant& tenant : w.tenants) out += "  " + wrapped(tenant_line(tenant), kWidth, 4) + '\n';
  if (s.slo == Slo{}) return out;
  out += "  promise: ";
  if (s.slo.ttft != Seconds{0})
    out += "TTFT " + format(s.slo.ttft) + (s.slo.tpot == Seconds{0} ? "" : ", ");
  if (s.slo.tpot != Seconds{0}) out += "TPOT " + format(s.slo.tpot);
  return out + " at p" + number_text(s.slo.percentile * 100.0, 3) + '\n';
}

std::string provenance(const Scenario& s) {
  // Facts that share a source are listed together, in order of appearance.
  std::vector<std::pair<Source, std::string>> notes;
  const auto add = [&](const std::string& fact, const Source& source) {
    if (source.text.empty()) return;
    const auto same =
        std::find_if(notes.begin(), notes.end(), [&](const auto& n) { return n.first == source; });
    if (same == notes.end()) {
      notes.emplace_back(source, fact);
    } else {
      same->second += ", " + fact;
    }
  };
  for (const Pool& p : s.cluster.pools) add("pool " + p.name, p.source);
  add("fabric", s.cluster.fabric.source);
  add("storage", s.cluster.storage.source);
  add("power", s.cluster.power.source);
  add("spread and recovery", s.cluster.faults.source);
  for (const FaultClass& c : s.cluster.faults.classes) add("fault " + c.name, c.source);
  for (const FailSlowEpisode& e : s.cluster.faults.episodes) add("fail-slow " + e.name, e.source);
  add("checkpoint", s.workload.training.checkpoint.source);
  for (const auto& [path, source] : s.sources) add(path, source);
  std::string out = "\nProvenance\n";
  for (const auto& [source, facts] : notes) {
    const std::string date = source.date.empty() ? "" : " (" + source.date + ')';
    out += "  " + wrapped(facts + ": " + source.text + date, kWidth, 4) + '\n';
  }
  for (const auto& [name, device] : s.devices) {
    if (device.sources.empty()) continue;
    std::set<std::string> texts;
    std::string newest;
    for (const auto& [field, source] : device.sources) {
      texts.insert(source.text);
      newest = std::max(newest, source.date);
    }
    out += "  device " + name + ": " +
           plural(static_cast<std::int64_t>(device.sources.size()), "figure") + " from " +
           plural(static_cast<std::int64_t>(texts.size()), "source") + ", newest reading " +
           newest + '\n';
  }
  return out;
}

}  // namespace

std::string show(const Scenario& s) {
  std::string out = s.name + '\n';
  if (!s.description.empty()) out += "  " + wrapped(s.description, kWidth, 2) + '\n';
  out += "  digest " + digest(s) + '\n';
  return out + fleet(s) + aggregate(s) + power(s) + prices(s) + network(s) + storage(s) + faults(s) + model(s) +
         workload(s) + show_plan(s) + provenance(s);
}

}  // namespace lindos
