// SPDX-License-Identifier: Apache-2.0
#include "sim/predict.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "scenarios/ceilings.h"
#include "scenarios/error.h"
#include "scenarios/metrics.h"
#include "scenarios/timeline.h"
#include "sim/closed_serving.h"
#include "sim/fleet.h"
#include "sim/interval_calibration.h"
#include "sim/maxplus.h"
#include "sim/serving_run.h"
#include "sim/simgrid_serving.h"
#include "sim/training/predict_training.h"
#include "sim/uncertainty.h"

namespace lindos::sim {

namespace {

constexpr FlopPerSecond kUnitPeak{1.0};
// Replicas simulated per group; more would be alike but for the requests they happen to be dealt,
// and the rest is scaled by request count.
constexpr std::size_t kSimulatedReplicas = 16;
// Beyond this share of the time priced at or beyond the edge of the profile a figure is an
// extrapolation.
constexpr double kExtrapolatedShare = 0.2;

// Steps that all draws together may replay, so that long workloads get fewer draws rather than
// minutes of waiting; the interval of 20 draws is coarse but honest.
constexpr std::size_t kDrawnSteps = 200'000;
constexpr int kLeastDraws = 20;

using Values = std::map<std::string, double>;

// All simulated replicas of one draw, seen as one run.
struct Outcome {
  Values metrics;
  Ledger ledger;
  WorkTotals totals;
  std::size_t steps = 0;
};

// Of all replicas of all groups, with or without requests; nothing where one device's power is not known.
std::optional<ReplicaPower> power_of(const Fleet& fleet) {
  ReplicaPower sum;
  for (const ServingGroup& group : fleet.groups) {
    const std::optional<ReplicaPower>& own = group.replica.power();
    if (!own) return std::nullopt;
    const auto replicas = static_cast<double>(std::max<std::int64_t>(1, group.plan.replicas));
    sum.idle += own->idle * replicas;
    sum.limit += own->limit * replicas;
    sum.sigma = std::max(sum.sigma, own->sigma);
  }
  return sum;
}

std::vector<ReplicaShare> sampled(const std::vector<ReplicaShare>& shares, std::size_t per_group) {
  std::vector<ReplicaShare> kept;
  std::size_t begin = 0;
  while (begin < shares.size()) {
    std::size_t end = begin;
    while (end < shares.size() && shares[end].group == shares[begin].group) ++end;
    const std::size_t count = end - begin;
    const std::size_t take = std::min(count, per_group);
    for (std::size_t i = 0; i < take; ++i) kept.push_back(shares[begin + i * count / take]);
    begin = end;
  }
  return kept;
}

// Merges the replicas: each waits without work until the last one ends.
Outcome combine(Fleet& fleet, const std::vector<ReplicaShare>& shares, std::vector<ServingRun> runs,
                const Slo& slo, double requests_total, double power_sigmas) {
  Outcome outcome;
  Seconds end{0};
  for (const ServingRun& run : runs) end = std::max(end, run.end);
  std::vector<RequestTimeline> timelines;
  std::vector<double> step_times;
  BytesPerSecond bandwidth{0};
  for (std::size_t i = 0; i < runs.size(); ++i) {
    ServingRun& run = runs[i];
    const ReplicaModel& replica = fleet.groups[shares[i].group].replica;
    run.ledger.book(Cause::kNoWork, end - run.end, replica.peak());
    outcome.ledger.merge(run.ledger);
    bandwidth += replica.bandwidth();
    outcome.totals.cold += run.totals.cold;
    outcome.totals.speed_of_light += run.totals.speed_of_light;
    outcome.totals.busy += run.totals.busy;
    outcome.totals.added += run.totals.added;
    for (std::size_t f = 0; f < kFamilyCount; ++f) {
      for (std::size_t t = 0; t < kTierCount; ++t)
        outcome.totals.seconds[f][t] += run.totals.seconds[f][t];
    }
    for (const Seconds t : run.step_times) step_times.push_back(t.count());
    std::move(run.timelines.begin(), run.timelines.end(), std::back_inserter(timelines));
  }
  outcome.steps = step_times.size();
  const ServingSummary summary = summarise(timelines, slo);
  const double scale = requests_total / static_cast<double>(timelines.size());
  Values& m = outcome.metrics;
  m["output_tokens_per_s"] = summary.output_tokens_per_s * scale;
  m["requests_per_s"] = summary.requests_per_s * scale;
  m["ttft_s"] = summary.ttft.count();
  m["tpot_s"] = summary.tpot.count();
  m["e2e_latency_s"] = summary.e2e_latency.count();
  m["goodput"] = summary.goodput;
  m["step_time_s"] = quantile(step_times, 0.5);
  const Utilisation used = utilisation({outcome.ledger.share(Cause::kUseful), outcome.totals.cold,
                                        outcome.totals.speed_of_light, outcome.totals.busy, bandwidth, end});
  m["mfu"] = used.mfu;
  m["mbu"] = used.mbu;
  m["roofline_utilisation"] = used.roofline;
  if (const std::optional<ReplicaPower> power = power_of(fleet); power && end > Seconds{0}) {
    double tokens = 0.0;
    for (const RequestTimeline& t : timelines) tokens += static_cast<double>(t.token_times.size());
    const Joules added = outcome.totals.added * (scale * std::exp(power->sigma * power_sigmas));
    const Watts mean = std::min(power->limit, power->idle + added / end);
    m["power_w"] = mean.value();
    if (tokens > 0.0) m["energy_per_token_j"] = (mean * end).value() / (tokens * scale);
  }
  return outcome;
}

ServingRun serve_at(Fidelity fidelity, ServingGroup& group, const Fabric& fabric,
                    const std::vector<RequestSpec>& requests,
                    const std::function<bool()>& cancelled) {
  switch (fidelity) {
    case Fidelity::kClosed:
      return serve_closed(group.replica, group.limits, requests);
    case Fidelity::kSimgrid:
      return serve_simgrid_isolated(group.replica, fabric, group.stage_devices, group.limits,
                                    requests, cancelled);
    case Fidelity::kMaxplus:
      break;
  }
  return serve_maxplus(group.replica, group.limits, requests, Draw{}, cancelled);
}

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
  if (scenario.workload.kind == WorkloadKind::kTraining)
    return predict_training(scenario, profiles_by_device, options);
  const std::vector<RequestSpec> requests =
      generate_requests(scenario.workload.serving, scenario.workload.seed);
  if (requests.empty())
    throw Error(ErrorKind::kInput, scenario.name, "the workload has no requests");
  const auto report = [&](double done) {
    if (options.progress) options.progress(done);
  };
  Fleet fleet = make_fleet(scenario, profiles_by_device, options.backend);
  std::vector<GroupPlan> plans;
  for (const ServingGroup& group : fleet.groups) plans.push_back(group.plan);
  const std::vector<ReplicaShare> all_shares = deal_requests(plans, requests);
  const auto requests_total = static_cast<double>(requests.size());

  const auto serve_all = [&](Fidelity fidelity, const std::vector<ReplicaShare>& shares) {
    std::vector<ServingRun> runs;
    for (const ReplicaShare& share : shares) {
      runs.push_back(serve_at(fidelity, fleet.groups[share.group], scenario.cluster.fabric,
                              share.requests, options.cancelled));
    }
    return combine(fleet, shares, std::move(runs), scenario.slo, requests_total, 0.0);
  };
  const Outcome centre = serve_all(options.fidelity, sampled(all_shares, kSimulatedReplicas));

  // Replicas of a group differ little, so that one of each carries the relative spread.
  std::map<std::string, std::vector<double>> drawn;
  std::vector<Ledger> drawn_ledgers;
  Outcome reference = centre;
  int draws = options.draws;
  if (options.draws > 0) {
    const std::vector<ReplicaShare> shares = sampled(all_shares, 1);
    reference = serve_all(Fidelity::kMaxplus, shares);
    std::vector<std::vector<Factors>> sigmas;
    for (ServingGroup& group : fleet.groups)
      sigmas.push_back(systematic_sigmas(group.replica, reference.totals));
    const auto affordable =
        static_cast<int>(kDrawnSteps / std::max<std::size_t>(1, reference.steps));
    draws = std::min(draws, std::max(kLeastDraws, affordable));
    for (int d = 0; d < draws; ++d) {
      std::vector<ServingRun> runs;
      double power_sigmas = 0.0;  // alike for all groups of a draw
      for (const ReplicaShare& share : shares) {
        ServingGroup& group = fleet.groups[share.group];
        const Draw draw =
            draw_factors(sigmas[share.group], options.seed, static_cast<std::uint32_t>(d));
        power_sigmas = draw.power;
        runs.push_back(
            serve_maxplus(group.replica, group.limits, share.requests, draw, options.cancelled));
      }
      const Outcome outcome =
          combine(fleet, shares, std::move(runs), scenario.slo, requests_total, power_sigmas);
      for (const auto& [name, value] : outcome.metrics) drawn[name].push_back(value);
      drawn_ledgers.push_back(outcome.ledger);
      report(static_cast<double>(d + 1) / draws);
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
  for (const auto& [name, value] : centre.metrics) {
    record.metrics[name] =
        interval(value, reference.metrics.at(name), drawn[name], metric_or_throw(name), provenance);
  }
  const auto exact = [&](const char* name, double value) {
    record.metrics[name] = interval(value, value, {}, metric_or_throw(name), "modelled");
  };
  exact("memory_peak_bytes", fullest_rank(fleet).value());
  std::int64_t blocks = fleet.groups.front().capacity.kv_blocks;
  for (const ServingGroup& group : fleet.groups)
    blocks = std::min(blocks, group.capacity.kv_blocks);
  exact("kv_blocks", static_cast<double>(blocks));
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
