// SPDX-License-Identifier: Apache-2.0
#include "sim/replica_sampling.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <limits>
#include <utility>

#include "scenarios/error.h"
#include "scenarios/request_stream.h"
#include "sim/fleet_traffic.h"
#include "sim/replica_sample.h"

namespace lindos::sim {

namespace {

// Replicas simulated of each group before the interval of goodput is looked at, and at most.
constexpr std::size_t kFirstReplicas = 16;
constexpr std::int64_t kMostReplicas = 256;

class ReplicaSampling final : public FleetSampling {
 public:
  ReplicaSampling(const Scenario& scenario, const Fleet& fleet, const PredictOptions& options)
      : fleet_(fleet), options_(options), traffic_(traffic(scenario, options)) {}

  SampleOutcome serve(FleetRunner& runner) override {
    SampleOutcome outcome;
    outcome.requests = traffic_.requests;
    std::vector<std::size_t> served(traffic_.sampled.size(), 0);
    std::size_t target = options_.goodput_width > 0.0 ? kFirstReplicas : std::numeric_limits<std::size_t>::max();
    for (;;) {
      std::vector<FleetRunner::Job> jobs;
      for (std::size_t g = 0; g < served.size(); ++g) {
        const std::size_t until = std::min(target, traffic_.sampled[g].size());
        while (served[g] < until) jobs.push_back({g, &traffic_.sampled[g][served[g]++], nullptr});
      }
      if (jobs.empty()) break;
      std::vector<ReplicaOutcome> more = runner.serve(options_.fidelity, jobs);
      std::move(more.begin(), more.end(), std::back_inserter(outcome.replicas));
      outcome.goodput = estimate_goodput(fleet_, outcome.requests, outcome.replicas);
      if (is_narrow(outcome.goodput, options_)) break;
      target *= 2;
    }
    outcome.tenants = estimate_goodput_of_tenants(fleet_, outcome.requests, outcome.replicas);
    return outcome;
  }

  std::vector<SampleOutcome> replay(FleetRunner& runner, const std::vector<std::vector<Draw>>& draws,
                                    const std::function<void(double)>& progress) override {
    std::vector<std::vector<RequestSpec>> beginnings = one_replica_each(runner);
    for (std::vector<RequestSpec>& requests : beginnings) requests = beginning_of(requests, 1.0);
    std::vector<FleetRunner::Job> jobs;
    for (const std::vector<Draw>& draw : draws) {
      for (std::size_t g = 0; g < beginnings.size(); ++g) jobs.push_back({g, &beginnings[g], &draw[g]});
    }
    std::vector<ReplicaOutcome> replicas = runner.serve(Fidelity::kMaxplus, jobs, progress);
    std::vector<SampleOutcome> outcomes(draws.size());
    for (std::size_t d = 0; d < draws.size(); ++d) {
      const auto first = replicas.begin() + static_cast<std::ptrdiff_t>(d * beginnings.size());
      outcomes[d].replicas.assign(std::make_move_iterator(first),
                                  std::make_move_iterator(first + std::ssize(beginnings)));
      outcomes[d].requests = traffic_.requests;
      outcomes[d].goodput = estimate_goodput(fleet_, traffic_.requests, outcomes[d].replicas);
    }
    return outcomes;
  }

  // The first sampled one.
  std::vector<std::vector<RequestSpec>> one_replica_each(FleetRunner& /*runner*/) const override {
    std::vector<std::vector<RequestSpec>> out;
    for (const auto& replicas : traffic_.sampled) {
      const auto found = std::find_if(replicas.begin(), replicas.end(), [](const auto& r) { return !r.empty(); });
      out.push_back(found == replicas.end() ? std::vector<RequestSpec>{} : *found);
    }
    return out;
  }

 private:
  static FleetTraffic traffic(const Scenario& scenario, const PredictOptions& options) {
    const std::vector<GroupPlan>& plans = scenario.plan.groups;
    const ServingWorkload& workload = scenario.workload.serving;
    const std::uint64_t seed = scenario.workload.seed;
    const ReplicaSample sample =
        options.goodput_width > 0.0 ? ReplicaSample(plans, kMostReplicas, options.seed) : ReplicaSample(plans);
    FleetTraffic dealt = deal_requests(scenario.plan.routing, plans, sample, *open_requests(workload, seed), seed,
                                       workload.concurrency);
    if (dealt.total() == 0.0)
      throw Error(ErrorKind::kInput, scenario.name, "no request arrives within the workload's duration");
    return dealt;
  }

  const Fleet& fleet_;
  const PredictOptions& options_;
  const FleetTraffic traffic_;
};

}  // namespace

std::unique_ptr<FleetSampling> sample_replicas(const Scenario& scenario, const Fleet& fleet,
                                               const PredictOptions& options) {
  return std::make_unique<ReplicaSampling>(scenario, fleet, options);
}

}  // namespace lindos::sim
