// SPDX-License-Identifier: Apache-2.0
#include "sim/predict.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "scenarios/ceilings.h"
#include "scenarios/error.h"
#include "scenarios/metrics.h"
#include "scenarios/plan_cost.h"
#include "scenarios/plan_pools.h"
#include "scenarios/timeline.h"
#include "sim/fleet.h"
#include "sim/fleet_outcome.h"
#include "sim/fleet_power.h"
#include "sim/fleet_runner.h"
#include "sim/fleet_sampling.h"
#include "sim/interval_calibration.h"
#include "sim/serving_device_map.h"
#include "sim/serving/serving_timeline.h"
#include "sim/training/predict_training.h"
#include "sim/uncertainty.h"

namespace lindos::sim {

namespace {

// Beyond this share of the time priced at or beyond the edge of the profile a figure is an
// extrapolation.
constexpr double kExtrapolatedShare = 0.2;

// Steps that all draws together may replay, so that long workloads get fewer draws rather than
// minutes of waiting; the interval of 20 draws is coarse but honest.
constexpr std::size_t kDrawnSteps = 200'000;
constexpr int kLeastDraws = 20;
// An interval around the centre from draws around their own centre, as a ratio where that means
// something.
MetricValue interval(double centre, double reference, const std::vector<double>& draws,
                     const Metric& metric, const char* provenance) {
  MetricValue value{centre, centre, centre, std::string(metric.unit), provenance};
  if (draws.empty()) return value;
  const auto moved = [&](double q) {
    const double drawn = quantile(draws, q);
    return reference > 0.0 ? centre * (drawn / reference) : centre + (drawn - reference);
  };
  value.p10 = std::min(centre, moved(0.1));
  value.p90 = std::max(centre, moved(0.9));
  return value;
}

std::map<std::string, MetricValue> intervals(const std::map<std::string, double>& centre,
                                             const std::map<std::string, double>& reference,
                                             std::map<std::string, std::vector<double>>& draws,
                                             const char* provenance) {
  std::map<std::string, MetricValue> values;
  for (const auto& [name, value] : centre) {
    // A metric of rare events may lack in the beginning that the draws replay.
    const auto drawn_centre = reference.find(name);
    values[name] = interval(value, drawn_centre == reference.end() ? value : drawn_centre->second, draws[name],
                            metric_or_throw(name), provenance);
  }
  return values;
}

std::vector<LedgerEntry> ledger_intervals(const Ledger& centre, const Ledger& reference,
                                          const std::vector<Ledger>& draws) {
  std::vector<LedgerEntry> entries = ledger_entries(centre);
  if (draws.empty()) return entries;
  for (LedgerEntry& entry : entries) {
    std::vector<double> shares;
    shares.reserve(draws.size());
    for (const Ledger& draw : draws)
      shares.push_back(draw.share(entry.cause) - reference.share(entry.cause));
    entry.p10 = std::clamp(entry.share + quantile(shares, 0.1), 0.0, entry.share);
    entry.p90 = std::clamp(entry.share + quantile(shares, 0.9), entry.share, 1.0);
  }
  return entries;
}

const char* provenance_of(const WorkTotals& totals) {
  double all = 0.0;
  double beyond = 0.0;
  for (const auto& family : totals.seconds) {
    for (std::size_t t = 0; t < kTierCount; ++t) all += family[t];
    beyond += family[static_cast<std::size_t>(Tier::kEdge)];
  }
  return beyond > kExtrapolatedShare * all ? "extrapolated" : "modelled";
}

// One digest for all profiles that priced the run, in device order.
std::string digest_of(const std::map<std::string, Profile>& profiles) {
  if (profiles.size() == 1) return digest(profiles.begin()->second);
  std::string joined;
  for (const auto& [name, profile] : profiles) joined += name + " " + digest(profile) + "\n";
  return digest_of_text(joined);
}

Bytes fullest_rank(const Fleet& fleet) {
  Bytes most{0};
  for (const ServingGroup& group : fleet.groups) {
    for (const auto& stage : group.capacity.ranks) {
      for (const RankMemory& rank : stage) most = std::max(most, rank.total());
    }
  }
  return most;
}

bool power_is_sampled(const Fleet& fleet) {
  return std::all_of(fleet.groups.begin(), fleet.groups.end(), [](const ServingGroup& group) {
    return !group.replica.power() || group.replica.power()->sampled;
  });
}

// Of the standard normal distribution: its p90, and the half of its 95 % interval.
constexpr double kP90 = 1.2815515655446004;
constexpr double kHalf95 = 1.959963984540054;

// Devices of the plan by pool, in the cluster's order.
std::vector<std::int64_t> devices_of(const Scenario& scenario) {
  const std::map<std::string, std::int64_t> by_pool = devices_by_pool(scenario.plan);
  std::vector<std::int64_t> devices;
  for (const Pool& pool : scenario.cluster.pools) {
    const auto found = by_pool.find(pool.name);
    devices.push_back(found == by_pool.end() ? 0 : found->second);
  }
  return devices;
}

bool energy_is_paid(const Scenario& scenario) { return scenario.cluster.power.energy_price.value() > 0.0; }

// What a token costs, where the work costs exp(sigmas × sigma) as much energy. Nothing where a price is not known, or the power
// that is to be paid.
void add_cost(std::map<std::string, double>& metrics, const Scenario& scenario, const std::optional<FleetPower>& power,
              double sigmas) {
  const auto tokens = metrics.find("output_tokens_per_s");
  if (tokens == metrics.end() || (energy_is_paid(scenario) && !power)) return;
  const Watts paid = energy_is_paid(scenario) ? power->mean(sigmas) : Watts{0};
  if (const auto cost = plan_cost(scenario.cluster, devices_of(scenario), paid))
    metrics["dollars_per_million_tokens"] = dollars_per_million_tokens(*cost, tokens->second);
}

// The sampling error joins what the draws say of the metric.
void widen(MetricValue& value, double half_width_95) {
  const double own = half_width_95 * (kP90 / kHalf95);
  value.p10 = std::max(0.0, value.p50 - std::hypot(value.p50 - value.p10, own));
  value.p90 = std::max(value.p50, std::min(1.0, value.p50 + std::hypot(value.p90 - value.p50, own)));
}

}  // namespace

const char* name_of(Fidelity fidelity) {
  switch (fidelity) {
    case Fidelity::kClosed:
      return "closed";
    case Fidelity::kMaxplus:
      return "maxplus";
    case Fidelity::kSimgrid:
      return "simgrid";
  }
  return "";
}

RunRecord predict(const Scenario& scenario,
                  const std::map<std::string, Profile>& profiles_by_device,
                  const PredictOptions& options) {
  if (options.timeline && options.fidelity == Fidelity::kClosed) {
    throw Error(ErrorKind::kInput, scenario.name,
                "the closed rung prices a run as a whole and has no timeline; maxplus and simgrid have");
  }
  if (scenario.workload.kind == WorkloadKind::kTraining)
    return predict_training(scenario, profiles_by_device, options);
  const ServingWorkload& workload = scenario.workload.serving;
  if (expected_requests(workload) == 0)
    throw Error(ErrorKind::kInput, scenario.name, "the workload has no requests");
  const auto report = [&](double done) {
    if (options.progress) options.progress(done);
  };
  Fleet fleet = make_fleet(scenario, profiles_by_device, options.backend);
  const std::unique_ptr<FleetSampling> sampling = sample_fleet(scenario, fleet, options);
  FleetRunner runner(fleet, scenario, options.cancelled);
  const SampleOutcome sample = sampling->serve(runner);
  FleetOutcome centre = fleet_outcome(fleet, sample.requests, sample.replicas, 0.0);
  const std::optional<FleetPower> power = FleetPower::of(scenario, fleet, sample.replicas);
  add_cost(centre.metrics, scenario, power, 0.0);
  if (fleet.limits_admission && centre.metrics.at("rejected_share") == 1.0)
    throw Error(ErrorKind::kInfeasible, scenario.name, "the plan's admission limits turn every request away");
  if (options.timeline)
    options.timeline(
        serving_timeline(fleet, scenario, sampling->one_replica_each(runner), options));

  std::map<std::string, std::vector<double>> drawn;
  std::vector<std::map<std::string, std::vector<double>>> drawn_of_tenants(centre.tenants.size());
  std::vector<Ledger> drawn_ledgers;
  FleetOutcome reference = centre;
  int draws = options.draws;
  if (options.draws > 0) {
    const std::vector<std::vector<Draw>> no_factors(1, std::vector<Draw>(fleet.groups.size()));
    const SampleOutcome beginning = std::move(sampling->replay(runner, no_factors, {}).front());
    reference = fleet_outcome(fleet, beginning.requests, beginning.replicas, 0.0);
    add_cost(reference.metrics, scenario, power, 0.0);
    std::vector<std::vector<Factors>> sigmas;
    for (ServingGroup& group : fleet.groups)
      sigmas.push_back(systematic_sigmas(group.replica, reference.totals));
    const auto affordable =
        static_cast<int>(kDrawnSteps / std::max<std::size_t>(1, reference.steps));
    draws = std::min(draws, std::max(kLeastDraws, affordable));
    std::vector<std::vector<Draw>> factors(static_cast<std::size_t>(draws));  // [draw][group]
    for (std::size_t d = 0; d < factors.size(); ++d) {
      for (const std::vector<Factors>& sigma : sigmas)
        factors[d].push_back(draw_factors(sigma, options.seed, static_cast<std::uint32_t>(d)));
    }
    const std::vector<SampleOutcome> replayed = sampling->replay(runner, factors, report);
    for (std::size_t d = 0; d < replayed.size(); ++d) {
      // Power is off alike for all groups of a draw.
      FleetOutcome outcome =
          fleet_outcome(fleet, replayed[d].requests, replayed[d].replicas, factors[d].front().power);
      add_cost(outcome.metrics, scenario, power, factors[d].front().power);
      for (const auto& [name, value] : outcome.metrics) drawn[name].push_back(value);
      for (std::size_t t = 0; t < outcome.tenants.size(); ++t) {
        for (const auto& [name, value] : outcome.tenants[t]) drawn_of_tenants[t][name].push_back(value);
      }
      drawn_ledgers.push_back(outcome.ledger);
    }
  }

  RunRecord record;
  record.source = RunSource::kPredicted;
  record.fidelity = name_of(options.fidelity);
  record.scenario_name = scenario.name;
  record.scenario_digest = digest(scenario);
  record.plan_digest = digest(scenario.plan);
  record.plan_name = scenario.plan.name;
  record.seed = options.seed;
  record.repeats = std::max(1, draws);
  const char* provenance = provenance_of(centre.totals);
  record.metrics = intervals(centre.metrics, reference.metrics, drawn, provenance);
  widen(record.metrics.at("goodput"), sample.goodput.half_width);
  for (std::size_t t = 0; t < centre.tenants.size(); ++t) {
    if (centre.tenants[t].empty()) continue;  // asked nothing
    const std::map<std::string, double> none;
    std::map<std::string, MetricValue>& own = record.tenants[workload.tenants[t].name];
    own = intervals(centre.tenants[t], reference.tenants.empty() ? none : reference.tenants[t], drawn_of_tenants[t],
                    provenance);
    widen(own.at("goodput"), sample.tenants[t].half_width);
  }
  const auto exact = [&](const char* name, double value) {
    record.metrics[name] = interval(value, value, {}, metric_or_throw(name), "modelled");
  };
  exact("memory_peak_bytes", fullest_rank(fleet).value());
  std::int64_t blocks = fleet.groups.front().capacity.kv_blocks;
  for (const ServingGroup& group : fleet.groups)
    blocks = std::min(blocks, group.capacity.kv_blocks);
  exact("kv_blocks", static_cast<double>(blocks));
  if (static_cast<double>(sample.replicas.size()) < fleet_replicas(fleet)) {
    exact("simulated_replicas", static_cast<double>(sample.replicas.size()));
    exact("goodput_sampling_error", sample.goodput.half_width);
  }
  if (power) {
    const auto add = [&](const char* name, Watts (FleetPower::*figure)(double) const) {
      record.metrics[name] = {((*power).*figure)(-kP90).value(), ((*power).*figure)(0.0).value(),
                              ((*power).*figure)(kP90).value(), std::string(metric_or_throw(name).unit), provenance};
    };
    add("site_power_w", &FleetPower::mean);
    add("site_power_peak_w", &FleetPower::peak);
    if (options.samples) options.samples(power->samples());
  }
  // What devices draw by the ceilings of other devices is further from a measurement than their times are.
  if (!power_is_sampled(fleet)) {
    std::vector<std::string> by_power{"power_w", "energy_per_token_j", "site_power_w", "site_power_peak_w"};
    if (energy_is_paid(scenario)) by_power.emplace_back("dollars_per_million_tokens");
    for (const std::string& name : by_power) {
      if (const auto found = record.metrics.find(name); found != record.metrics.end()) found->second.provenance = "extrapolated";
    }
  }
  if (options.devices) {
    if (std::optional<DeviceMap> map = serving_device_map(scenario, fleet, sample.replicas)) options.devices(std::move(*map));
  }
  record.ledger = ledger_intervals(centre.ledger, reference.ledger, drawn_ledgers);
  record.environment.hardware = fleet.hardware;
  record.environment.profile_digest = digest_of(fleet.profiles);
  std::vector<const Profile*> used;
  for (const auto& [device, profile] : fleet.profiles) used.push_back(&profile);
  widen_intervals(record, used);
  report(1.0);
  return record;
}

}  // namespace lindos::sim
