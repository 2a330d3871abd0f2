// SPDX-License-Identifier: Apache-2.0
#include "exec/telemetry/measured_record.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <functional>
#include <map>
#include <string>

#include "scenarios/ceilings.h"
#include "scenarios/error.h"
#include "scenarios/metrics.h"
#include "scenarios/ops.h"
#include "scenarios/scenario.h"
#include "scenarios/timeline.h"

namespace lindos::exec {

namespace {

// What one family of one rank had to do in a run.
struct FamilyWork {
  Seconds compute{0};    // Σ FLOP / peak
  Seconds memory{0};     // Σ over ops of what the memory needs beyond that
};

struct RankWork {
  std::array<FamilyWork, kOpFamilies> families{};
  double weight_and_kv_bytes = 0.0;
};

// Of the run's steps, as the shared list counts them where tokens choose all experts alike: rows of pairs and experts read.
struct ExpectedUse {
  double pairs = 0.0;
  double read = 0.0;
};
ExpectedUse expected_use(const EngineRun& run, const EngineConfig& config, ShardId shard) {
  ExpectedUse use;
  for (const Batch& batch : run.steps) {
    for (const Op& op : step_ops(config.model, config.group, shard, batch)) {
      if (op.kind != OpKind::kMoeGemm || op.site != GemmSite::kGateUp) continue;
      const double matrix = static_cast<double>(op.n) * static_cast<double>(op.k);
      use.pairs += static_cast<double>(op.count) * op.flop.value() / (2.0 * matrix);
      use.read += static_cast<double>(op.count) * op.weight_bytes.value() / (matrix * bytes_of(config.group.weight_dtype));
    }
  }
  return use;
}

RankWork work_of(const EngineRun& run, const EngineConfig& config, const RankReport& report, const Ceilings& ceilings) {
  const ShardId shard{report.stage, report.rank};
  RankWork work;
  // Which experts the tokens chose is known only now.
  double pairs = 1.0;
  double read = 1.0;
  if (report.experts.read > 0) {
    const ExpectedUse expected = expected_use(run, config, shard);
    pairs = static_cast<double>(report.experts.pairs) / expected.pairs;
    read = static_cast<double>(report.experts.read) / expected.read;
  }
  for (const Batch& batch : run.steps) {
    for (Op op : step_ops(config.model, config.group, shard, batch)) {
      if (op.kind == OpKind::kMoeGemm) {
        op.flop = op.flop * pairs;
        op.activation_bytes = op.activation_bytes * pairs;
        op.weight_bytes = op.weight_bytes * read;
      }
      const double count = static_cast<double>(op.count);
      const Seconds compute = op.flop / ceilings.peak * count;
      const Seconds memory = op.bytes() / ceilings.bandwidth * count;
      FamilyWork& family = work.families[static_cast<std::size_t>(family_of(op))];
      family.compute += compute;
      family.memory += std::max(Seconds{0}, memory - compute);
      work.weight_and_kv_bytes += (op.weight_bytes + op.kv_bytes).value() * count;
    }
  }
  return work;
}

Utilisation utilisation_of(const EngineRun& run, const EngineConfig& config, const Profile& profile,
                           const Ledger& ledger) {
  const auto ranks = static_cast<double>(run.ranks.size());
  const Ceilings ceilings = rank_ceilings(profile, config.group.weight_dtype, static_cast<int>(run.ranks.size()));
  RunWork sum;
  sum.useful_share = ledger.share(Cause::kUseful);
  sum.bandwidth = ceilings.bandwidth * ranks;
  sum.span = run.wall;
  for (const RankReport& report : run.ranks) {
    const RankWork work = work_of(run, config, report, ceilings);
    for (std::size_t f = 0; f < kOpFamilies; ++f) {
      sum.speed_of_light += work.families[f].compute + work.families[f].memory;
      const auto family = static_cast<OpFamily>(f);
      if (family != OpFamily::kCommunication && family != OpFamily::kKvCopy) sum.busy += Seconds{report.family_s[f]};
    }
    sum.cold += Bytes{work.weight_and_kv_bytes};
  }
  return utilisation(sum);
}

double median_decode_step(const EngineRun& run) {
  std::vector<double> times;
  for (std::size_t i = 0; i < run.steps.size() && i < run.step_times.size(); ++i) {
    const Batch& batch = run.steps[i];
    if (std::all_of(batch.begin(), batch.end(), [](const Slice& s) { return s.is_decode(); })) {
      times.push_back(run.step_times[i].count());
    }
  }
  return times.empty() ? 0.0 : quantile(times, 0.5);
}

std::string hash_outputs(const EngineRun& run) {
  std::string text;
  for (const auto& output : run.outcome.outputs) {
    for (scheduler::TokenId id : output) text += std::to_string(id) + ' ';
    text += '\n';
  }
  return digest_of_text(text);
}

}  // namespace

Ledger measured_ledger(const EngineRun& run, const EngineConfig& config, const Profile& profile) {
  const Ceilings ceilings = rank_ceilings(profile, config.group.weight_dtype, static_cast<int>(run.ranks.size()));
  Ledger ledger;
  for (const RankReport& report : run.ranks) {
    const RankWork work = work_of(run, config, report, ceilings);
    double booked = 0.0;
    const auto book = [&](Cause cause, double seconds) {
      // Clock reads overlap by nanoseconds; what is booked never exceeds the wall.
      const double s = std::clamp(seconds, 0.0, std::max(0.0, run.wall.count() - booked));
      ledger.book(cause, Seconds{s}, ceilings.peak);
      booked += s;
    };
    for (std::size_t f = 0; f < kOpFamilies; ++f) {
      const double t = report.family_s[f];
      if (static_cast<OpFamily>(f) == OpFamily::kCommunication) {
        // Collectives know how long they waited for the last member; the rest of the family is transfer:
        // between stages the hand-over of activations.
        const double wait = std::min(t, report.comm_wait_s);
        const double collective = std::min(t - wait, report.comm_transfer_s);
        book(Cause::kStragglerMix, wait);
        book(Cause::kExposedTensor, collective);
        book(config.group.stages.size() > 1 ? Cause::kExposedPipeline : Cause::kExposedTensor,
             t - wait - collective);
        continue;
      }
      if (static_cast<OpFamily>(f) == OpFamily::kKvCopy) {
        book(Cause::kTransfer, t);
        continue;
      }
      const double useful = std::min(t, work.families[f].compute.count());
      const double memory = std::min(t - useful, work.families[f].memory.count());
      book(Cause::kUseful, useful);
      book(Cause::kMemoryBound, memory);
      book(Cause::kKernelInefficiency, t - useful - memory);
    }
    const bool driver = report.stage == 0 && report.rank == 0;
    // The driver sleeps until arrivals outside step_wait; the other ranks see both as one wait.
    const double no_work = run.no_work.count();
    book(Cause::kNoWork, no_work);
    book(Cause::kPipelineBubble, driver ? report.step_wait_s : report.step_wait_s - no_work);
    book(Cause::kHostOverhead, run.wall.count() - booked);
  }
  const double capacity = ceilings.peak.value() * run.wall.count() * static_cast<double>(run.ranks.size());
  ledger.close(capacity, Cause::kHostOverhead);
  return ledger;
}

namespace {

MetricValue measured_value(const std::string& name, const std::vector<double>& repeats) {
  return {quantile(repeats, 0.1), quantile(repeats, 0.5), quantile(repeats, 0.9),
          std::string(metric_or_throw(name).unit), "measured"};
}

using Repeats = std::map<std::string, std::vector<double>>;  // by metric

// What a tenant's record has, and everybody's.
void add_serving(Repeats& values, const ServingSummary& s, bool limited) {
  values["goodput"].push_back(s.goodput);
  if (limited) values["rejected_share"].push_back(s.rejected_share);
  values["output_tokens_per_s"].push_back(s.output_tokens_per_s);
  values["requests_per_s"].push_back(s.requests_per_s);
  if (s.answered == 0) return;
  values["ttft_s"].push_back(s.ttft.count());
  if (s.tpot > Seconds{0}) values["tpot_s"].push_back(s.tpot.count());
}

}  // namespace

void set_measured(RunRecord& record, const std::string& name, const std::vector<double>& repeats) {
  record.metrics[name] = measured_value(name, repeats);
}

std::string describe_expert_use(const EngineRun& run, const EngineConfig& config) {
  double read = 0.0;
  double expected = 0.0;
  double held = 0.0;
  for (const RankReport& report : run.ranks) {
    const ShardId shard{report.stage, report.rank};
    read += static_cast<double>(report.experts.read);
    expected += expected_use(run, config, shard).read;
    for (const Batch& batch : run.steps) {
      for (const Op& op : step_ops(config.model, config.group, shard, batch)) {
        if (op.kind == OpKind::kMoeGemm && op.site == GemmSite::kGateUp) held += static_cast<double>(op.count * op.experts);
      }
    }
  }
  if (read == 0.0) return "";
  char text[160];
  std::snprintf(text, sizeof text, "%.1f %% of the experts held were read per layer and step; %.1f %% where tokens choose all alike",
                100.0 * read / held, 100.0 * expected / held);
  return text;
}

std::vector<std::string> above_ceilings(const RunRecord& record) {
  constexpr double kNoise = 0.01;  // the best of a few repeats of a probe moves by about as much
  std::vector<std::string> names;
  for (const char* name : {"mfu", "mbu", "roofline_utilisation"}) {
    const auto found = record.metrics.find(name);
    if (found != record.metrics.end() && found->second.p50 > 1.0 + kNoise) names.emplace_back(name);
  }
  return names;
}

RunRecord measured_record(const std::vector<EngineRun>& runs, const EngineConfig& config, const Profile& profile,
                          const Scenario& scenario) {
  const ServingWorkload& workload = scenario.workload.serving;
  const Promises promises = promises_of(workload, scenario.slo);
  const bool limited = scenario.plan.admission.any();
  RunRecord record;
  record.source = RunSource::kMeasured;
  record.fidelity = "engine";
  record.repeats = static_cast<std::int64_t>(runs.size());
  record.output_hash = hash_outputs(runs.front());

  Repeats values;
  std::map<std::string, Repeats> of_tenants;
  std::vector<Ledger> ledgers;
  for (const EngineRun& run : runs) {
    const ServingSummary s = summarise(run.outcome.timelines, promises);
    if (s.answered == 0)
      throw Error(ErrorKind::kInfeasible, scenario.name, "the plan's admission limits turned every request away");
    add_serving(values, s, limited);
    if (s.tpot == Seconds{0}) values["tpot_s"].push_back(0.0);  // as predicted where no answer has two tokens
    values["e2e_latency_s"].push_back(s.e2e_latency.count());
    const auto tenants = summarise_tenants(run.outcome.timelines, promises, s.makespan);
    for (std::size_t t = 0; t < tenants.size(); ++t) {
      if (tenants[t]) add_serving(of_tenants[workload.tenants[t].name], *tenants[t], limited);
    }
    ledgers.push_back(measured_ledger(run, config, profile));
    const Utilisation used = utilisation_of(run, config, profile, ledgers.back());
    values["mfu"].push_back(used.mfu);
    values["mbu"].push_back(used.mbu);
    values["roofline_utilisation"].push_back(used.roofline);
    if (const double step = median_decode_step(run); step > 0.0) values["step_time_s"].push_back(step);
    double memory = 0.0;
    for (const RankReport& r : run.ranks) memory = std::max(memory, r.memory_bytes());
    values["memory_peak_bytes"].push_back(memory);
    values["kv_blocks"].push_back(static_cast<double>(config.kv_blocks));
    if (config.group.limits.prefix_reuse) {
      const scheduler::Snapshot& last = run.outcome.final_snapshot;
      values["prefix_hit_rate"].push_back(static_cast<double>(last.prefix_hit_tokens) /
                                          static_cast<double>(last.prefix_query_tokens));
      if (config.host_blocks > 0) {
        values["host_hit_rate"].push_back(static_cast<double>(last.host_hit_tokens) /
                                          static_cast<double>(last.prefix_query_tokens));
      }
    }
  }
  for (const auto& [name, v] : values) set_measured(record, name, v);
  for (const auto& [tenant, own] : of_tenants) {
    for (const auto& [name, v] : own) record.tenants[tenant][name] = measured_value(name, v);
  }
  record.ledger = ledger_entries(ledgers);
  return record;
}

}  // namespace lindos::exec
