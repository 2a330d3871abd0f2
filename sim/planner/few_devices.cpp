// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/few_devices.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <utility>

#include "scenarios/balance.h"
#include "scenarios/error.h"
#include "scenarios/plan_json.h"
#include "scenarios/plan_pools.h"
#include "scenarios/request_stream.h"
#include "scenarios/text_layout.h"
#include "scenarios/timeline.h"
#include "sim/fleet.h"
#include "sim/fleet_traffic.h"
#include "sim/interconnect.h"
#include "sim/maxplus.h"
#include "sim/planner/device_speeds.h"
#include "sim/planner/serving_space.h"
#include "sim/uncertainty.h"
#include "sim/workers.h"

namespace lindos::sim {

namespace {

using Profiles = std::map<std::string, Profile>;

constexpr std::int64_t kFewDevices = 16;
constexpr std::int64_t kMostRanks = 8;

const Device& device_of(const Scenario& scenario, const Pool& pool) { return scenario.devices.at(pool.node.device); }

// Ranks that a pool offers: devices, or cores of the host.
std::int64_t ranks_of(const Scenario& scenario, const Pool& pool, const Profiles& profiles) {
  const Device& device = device_of(scenario, pool);
  if (!is_host(device)) return pool.devices();
  const auto profile = profiles.find(device.name);
  return profile == profiles.end() ? 2 : std::max(1, profile->second.cores);
}

class Candidates {
 public:
  Candidates(const Scenario& scenario, const Profiles& profiles)
      : scenario_(scenario), profiles_(profiles), pattern_(scenario.plan.groups.front()) {}

  std::vector<Plan> all() {
    plans_.push_back(scenario_.plan);
    seen_.insert(text_without_names(scenario_.plan));
    for (const Pool& pool : scenario_.cluster.pools) {
      const std::int64_t ranks = std::min(kMostRanks, ranks_of(scenario_, pool, profiles_));
      for (std::int64_t tensor = 1; tensor <= ranks; tensor *= 2) {
        for (std::int64_t stages = 1; tensor * stages <= ranks; stages *= 2) alone(pool, tensor, stages);
      }
    }
    if (scenario_.cluster.pools.size() > 1) {
      mixed();
      over_two_pools();
    }
    return std::move(plans_);
  }

 private:
  static std::string text_without_names(Plan plan) {
    plan.name.clear();
    for (GroupPlan& group : plan.groups) group.name.clear();
    return to_json(plan);
  }

  void add(std::string name, GroupPlan group) {
    group.limits = pattern_.limits;
    group.kv_dtype = pattern_.kv_dtype;
    group.power_limit = limit_of(group);
    Plan plan{std::move(name), {std::move(group)}};
    try {
      check_plan(plan, scenario_, "plan");
    } catch (const Error&) {
      return;  // more ranks than heads, more stages than layers: no plan of this model
    }
    if (seen_.insert(text_without_names(plan)).second) plans_.push_back(std::move(plan));
  }

  // The least that the scenario's groups are held to on these pools; 0 where none is held to any.
  Watts limit_of(const GroupPlan& group) const {
    Watts least{0};
    const auto lower = [&](Watts limit) {
      if (limit.value() > 0.0 && (least.value() <= 0.0 || limit < least)) least = limit;
    };
    const auto pools = devices_per_replica(group);
    for (const GroupPlan& own : scenario_.plan.groups) {
      for (const auto& [name, devices] : devices_per_replica(own)) {
        if (pools.contains(name)) lower(own.power_limit);
      }
    }
    if (least.value() <= 0.0) return least;
    for (const auto& [name, devices] : pools) lower(device_of(scenario_, *find_pool(scenario_.cluster, name)).power_max);
    return least;
  }

  GroupPlan cut(const Pool& pool, const std::vector<double>& tensor, const std::vector<double>& stages) const {
    const std::int64_t granule = device_of(scenario_, pool).compute_capability == 0 ? kCpuGranule : kGpuGranule;
    Plan plan = make_plan(scenario_.model, pool.name, static_cast<int>(std::max<std::size_t>(1, stages.size())), tensor,
                          stages, pattern_.weight_dtype, pattern_.limits, granule);
    return std::move(plan.groups.front());
  }

  void alone(const Pool& pool, std::int64_t tensor, std::int64_t stages) {
    if (stages > scenario_.model.layers || tensor > scenario_.model.q_heads) return;
    GroupPlan group = cut(pool, std::vector<double>(static_cast<std::size_t>(tensor), 1.0),
                          std::vector<double>(static_cast<std::size_t>(stages), 1.0));
    const bool host = is_host(device_of(scenario_, pool));
    group.replicas = host ? 1 : pool.devices() / (tensor * stages);
    std::string name = pool.name + ":";
    if (tensor == 1 && stages == 1) name += " one rank";
    if (tensor > 1) name += " TP" + std::to_string(tensor);
    if (stages > 1) name += " PP" + std::to_string(stages);
    add(name, std::move(group));
  }

  // One rank of each pool.
  void mixed() {
    std::vector<double> reading;
    std::vector<double> products;
    std::string pools;
    for (const Pool& pool : scenario_.cluster.pools) {
      const DeviceSpeeds speeds = speeds_of(scenario_, pool, profiles_, pattern_.weight_dtype);
      reading.push_back(speeds.reading);
      products.push_back(speeds.products);
      pools += (pools.empty() ? "" : "+") + pool.name;
    }
    const std::vector<double> even(reading.size(), 1.0);
    // The simulation says which of them the load asks for. Where they are the same cut, the first name stays.
    for (const auto& [weights, how] :
         {std::pair{even, "equal"}, std::pair{reading, "by speed of reading"}, std::pair{products, "by speed of products"}}) {
      const bool known = *std::min_element(weights.begin(), weights.end()) > 0.0 && !profiles_.empty();
      if (weights != even && !known) continue;
      if (static_cast<std::int64_t>(weights.size()) <= scenario_.model.q_heads) {
        GroupPlan tensor = cut(scenario_.cluster.pools.front(), weights, {});
        for (std::size_t r = 0; r < weights.size(); ++r)
          tensor.stages.front().ranks[r].pool = scenario_.cluster.pools[r].name;
        add(pools + ": tensor shares " + how, std::move(tensor));
      }
      if (static_cast<std::int64_t>(weights.size()) <= scenario_.model.layers) {
        GroupPlan stages = cut(scenario_.cluster.pools.front(), {}, weights);
        for (std::size_t s = 0; s < weights.size(); ++s)
          stages.stages[s].ranks.front().pool = scenario_.cluster.pools[s].name;
        add(pools + ": pipeline stages " + how, std::move(stages));
      }
    }
  }

  // Stages of several ranks on two pools, as a fleet is planned; hosts and parts of one machine have one rank of each alone.
  void over_two_pools() {
    const std::vector<Pool>& pools = scenario_.cluster.pools;
    const bool host = std::any_of(pools.begin(), pools.end(), [&](const Pool& pool) { return is_host(device_of(scenario_, pool)); });
    if (host || scenario_.cluster.fabric.kind == "shared-memory") return;
    ServingSpace space;
    for (std::size_t first = 0; first < pools.size(); ++first) {
      for (std::size_t last = 0; last < pools.size(); ++last) {
        if (first != last) add_shapes_over(space, scenario_, profiles_, first, last, {pattern_.weight_dtype}, false);
      }
    }
    for (const ServingShape& shape : space.shapes) {
      const std::int64_t replicas = std::min(pools[shape.pool].devices() / shape.devices_in(shape.pool),
                                             pools[shape.other->pool].devices() / shape.devices_in(shape.other->pool));
      add(pools_text(scenario_, shape) + ": " + short_text_of(shape) + ", " + std::to_string(shape.other->layers_before) + " and " +
              std::to_string(shape.other->layers) + " layers",
          group_of(scenario_, shape, replicas));
    }
  }

  const Scenario& scenario_;
  const Profiles& profiles_;
  const GroupPlan pattern_;
  std::vector<Plan> plans_;
  std::set<std::string> seen_;
};

// A replica with what the router gives it.
struct DealtReplica {
  std::size_t group = 0;
  std::vector<RequestSpec> requests;
};

// All replicas of a plan that get requests.
std::vector<DealtReplica> dealt_replicas(const Scenario& scenario, const std::vector<GroupPlan>& groups) {
  std::int64_t most = 0;
  for (const GroupPlan& group : groups) most = std::max(most, group.replicas);
  const Workload& workload = scenario.workload;
  FleetTraffic traffic = deal_requests(Routing{}, groups, ReplicaSample(groups, most, workload.seed),
                                       *open_requests(workload.serving, workload.seed), workload.seed,
                                       workload.serving.concurrency);
  std::vector<DealtReplica> out;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    for (std::vector<RequestSpec>& requests : traffic.sampled[g]) {
      if (!requests.empty()) out.push_back({g, std::move(requests)});
    }
  }
  return out;
}

// A plan that fits, with what its replicas get.
struct Candidate {
  PlannedServing planned;
  Fleet fleet;
  std::vector<DealtReplica> shares;
  std::vector<std::vector<Factors>> sigmas;  // [group]
  std::string unfit;                         // why a request cannot run
};

// All replicas, one after the other.
ServingSummary served(std::vector<ServingGroup>& groups, const std::vector<DealtReplica>& shares, const Promises& promises,
                      const std::vector<Draw>* draws, const ServingQuestion& question, WorkTotals* totals) {
  std::vector<RequestTimeline> timelines;
  for (const DealtReplica& share : shares) {
    ServingGroup& group = groups[share.group];
    ServingRun run = serve_maxplus(group.replica, group.limits, share.requests, draws == nullptr ? Draw{} : (*draws)[share.group],
                                   question.predict.cancelled);
    if (totals != nullptr) totals[share.group] = run.totals;
    std::move(run.timelines.begin(), run.timelines.end(), std::back_inserter(timelines));
  }
  return summarise(timelines, promises);
}

// Output tokens per second of the requests that kept the promises.
double value_of(const ServingSummary& summary) { return summary.output_tokens_per_s * summary.goodput; }

// The plan as it stands, and where its uncertainty comes from.
void serve_centre(Candidate& candidate, const Promises& promises, const ServingQuestion& question) {
  std::vector<WorkTotals> totals(candidate.fleet.groups.size());
  const ServingSummary centre =
      served(candidate.fleet.groups, candidate.shares, promises, nullptr, question, totals.data());
  for (std::size_t g = 0; g < totals.size(); ++g)
    candidate.sigmas.push_back(systematic_sigmas(candidate.fleet.groups[g].replica, totals[g]));
  PlannedServing& planned = candidate.planned;
  planned.requests_per_s = centre.requests_per_s * centre.goodput;
  planned.tokens_per_s = value_of(centre);
  planned.objective = planned.tokens_per_s;
  for (const GroupPlan& group : planned.scenario.plan.groups) {
    const auto replicas = static_cast<double>(std::max<std::int64_t>(1, group.replicas));
    planned.parts.push_back({{}, group.name, planned.scenario.plan.name, group.replicas, Watts{0}, false, 0.0,
                             planned.requests_per_s / replicas, centre.ttft, centre.tpot});
  }
}

// Each draw on a thread with a fleet of its own.
void serve_draws(Candidate& candidate, const Promises& promises, const ServingQuestion& question) {
  const auto draws = static_cast<std::size_t>(std::max(1, question.predict.draws));
  const std::size_t workers = workers_for(draws);
  std::vector<std::vector<ServingGroup>> fleets(workers, candidate.fleet.groups);
  PlannedServing& planned = candidate.planned;
  planned.drawn.resize(draws);
  run_workers(workers, draws, [&](std::size_t worker, std::size_t d) {
    std::vector<Draw> factors;
    for (const std::vector<Factors>& sigmas : candidate.sigmas)
      factors.push_back(draw_factors(sigmas, question.predict.seed, static_cast<std::uint32_t>(d)));
    planned.drawn[d] = value_of(served(fleets[worker], candidate.shares, promises, &factors, question, nullptr));
  });
  const double per_token = planned.tokens_per_s > 0.0 ? planned.requests_per_s / planned.tokens_per_s : 0.0;
  planned.p10 = quantile(planned.drawn, 0.1) * per_token;
  planned.p90 = quantile(planned.drawn, 0.9) * per_token;
}

}  // namespace

bool is_few(const Scenario& scenario) {
  const bool host = std::any_of(scenario.cluster.pools.begin(), scenario.cluster.pools.end(),
                                [&](const Pool& pool) { return is_host(device_of(scenario, pool)); });
  return host || scenario.cluster.devices() <= kFewDevices;
}

std::vector<Plan> few_plans(const Scenario& scenario, const Profiles& profiles) {
  return Candidates(scenario, profiles).all();
}

ServingAnswer plan_few(const Scenario& scenario, const Profiles& profiles, const ServingQuestion& question) {
  if (question.objective != ServingObjective::kGoodput) {
    throw Error(ErrorKind::kInput, scenario.name,
                std::string("plans of a few devices are ranked by what they serve, not by ") + name_of(question.objective) +
                    "; leave the objective out");
  }
  if (question.survives != LostUnit::kNothing) {
    throw Error(ErrorKind::kInput, scenario.name,
                std::string("a few devices have no ") + name_of(question.survives) + " to spare; leave --survives out");
  }
  ServingAnswer answer;
  answer.unit = "token/s";
  const Promises promises = promises_of(scenario.workload.serving, scenario.slo);
  std::vector<Candidate> candidates;
  for (const Plan& plan : few_plans(scenario, profiles)) {
    Candidate candidate;
    candidate.planned.scenario = scenario;
    candidate.planned.scenario.plan = plan;
    candidate.planned.scenario.plan_given = true;
    candidate.planned.name = answer.shapes > 0 ? plan.name : scenario.plan_given ? "the scenario's plan" : "the default plan";
    ++answer.shapes;
    try {
      candidate.fleet = make_fleet(candidate.planned.scenario, profiles, question.predict.backend);
    } catch (const Error& e) {
      if (e.kind() != ErrorKind::kInfeasible) throw;
      answer.pruned.add("does not fit", 1, candidate.planned.name + ": " + e.what());
      continue;
    }
    candidate.shares = dealt_replicas(candidate.planned.scenario, plan.groups);
    candidates.push_back(std::move(candidate));
  }
  const auto report = [&](double from, double to) {
    return [&question, from, to](double done) {
      if (question.predict.progress) question.predict.progress(from + (to - from) * done);
    };
  };
  run_workers(
      workers_for(candidates.size()), candidates.size(),
      [&](std::size_t, std::size_t i) {
        try {
          serve_centre(candidates[i], promises, question);
        } catch (const Error& e) {
          if (e.kind() != ErrorKind::kInfeasible) throw;
          candidates[i].unfit = e.what();
        }
      },
      report(0.0, 0.5));
  for (const Candidate& candidate : candidates) {
    if (!candidate.unfit.empty()) answer.pruned.add("does not fit", 1, candidate.planned.name + ": " + candidate.unfit);
  }
  std::erase_if(candidates, [](const Candidate& candidate) { return !candidate.unfit.empty(); });
  answer.plans_simulated = static_cast<std::int64_t>(candidates.size());
  if (candidates.empty()) {
    throw Error(ErrorKind::kInfeasible, scenario.name,
                "none of " + with_thousands(answer.shapes) + " plans fits: " + answer.pruned.reasons().at("does not fit").example);
  }
  std::vector<Candidate*> best;
  for (Candidate& candidate : candidates) best.push_back(&candidate);
  std::stable_sort(best.begin(), best.end(),
                   [](const Candidate* a, const Candidate* b) { return a->planned.objective > b->planned.objective; });
  const auto shown = std::min(best.size(), static_cast<std::size_t>(question.top));
  answer.pruned.add("slower than the plans shown, simulated", static_cast<std::int64_t>(best.size() - shown));
  best.resize(shown);
  // Only what is shown is drawn.
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    Candidate& candidate = candidates[i];
    const bool own = candidate.planned.scenario.plan == scenario.plan;
    const bool baseline = own || candidate.planned.name.find(" equal") != std::string::npos;
    if (!baseline && std::find(best.begin(), best.end(), &candidate) == best.end()) continue;
    serve_draws(candidate, promises, question);
    if (baseline) answer.baselines.push_back(candidate.planned);
    report(0.5, 1.0)(static_cast<double>(i + 1) / static_cast<double>(candidates.size()));
  }
  for (const Candidate* candidate : best) answer.plans.push_back(candidate->planned);
  for (PlannedServing& plan : answer.plans) {
    for (const PlannedServing& baseline : answer.baselines)
      if (auto gain = gain_over(baseline.name, baseline.drawn, plan.drawn)) plan.gains.push_back(*std::move(gain));
  }
  return answer;
}

}  // namespace lindos::sim
