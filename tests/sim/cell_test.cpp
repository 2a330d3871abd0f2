// SPDX-License-Identifier: Apache-2.0
#include "sim/cell.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "scenarios/request_stream.h"
#include "sim/fleet.h"
#include "sim/fleet_traffic.h"
#include "sim/maxplus.h"
#include "tests/sim/toy_profile.h"
#include "tests/sim/toy_serving_fleet.h"

namespace lindos::sim {
namespace {

Fleet fleet_of(const Scenario& scenario) { return make_fleet(scenario, {{"toy", toy::slow_steps_profile()}}, ""); }

std::vector<RequestSpec> requests_of(const Scenario& scenario) {
  return generate_requests(scenario.workload.serving, scenario.workload.seed);
}

std::vector<CellReplica> served_by(Fleet& fleet, Scenario scenario, const Cell& cell, RoutingPolicy policy) {
  scenario.plan.routing.policy = policy;
  return serve_cell(fleet.groups, scenario, cell).replicas;
}

Cell whole(const Scenario& scenario) {
  Cell cell;
  for (const GroupPlan& group : scenario.plan.groups) cell.replicas.push_back(group.replicas);
  cell.requests = requests_of(scenario);
  return cell;
}

TEST(Cell, ReplicasSideBySideDoWhatEachDoesAlone) {
  const Scenario scenario = toy::fleet_scenario(1, 8);
  Fleet fleet = fleet_of(scenario);
  const Cell cell = whole(scenario);
  const std::vector<CellReplica> together = served_by(fleet, scenario, cell, RoutingPolicy::kWeightedRoundRobin);
  const ReplicaSample all(scenario.plan.groups);
  const FleetTraffic traffic =
      deal_requests({}, scenario.plan.groups, all, *open_requests(scenario.workload.serving, 1), 1);
  std::size_t i = 0;
  for (std::size_t g = 0; g < traffic.sampled.size(); ++g) {
    for (const std::vector<RequestSpec>& requests : traffic.sampled[g]) {
      const CellReplica& replica = together[i++];
      ASSERT_EQ(replica.group, g);
      ASSERT_EQ(replica.requests, requests);
      const ServingRun alone = serve_maxplus(fleet.groups[g].replica, fleet.groups[g].limits, requests, {});
      EXPECT_EQ(replica.run.timelines, alone.timelines);
      EXPECT_EQ(replica.run.end, alone.end);
    }
  }
  EXPECT_EQ(i, together.size());
}

// A request, where it went, and when it ended.
struct Served {
  Seconds arrival{0};
  std::uint64_t id = 0;
  std::size_t replica = 0;
  Seconds end{0};
};

std::vector<Served> served_in_order(const std::vector<CellReplica>& replicas) {
  std::vector<Served> out;
  for (std::size_t r = 0; r < replicas.size(); ++r) {
    for (const RequestTimeline& t : replicas[r].run.timelines)
      out.push_back({t.arrival, t.id, r, t.token_times.back()});
  }
  std::sort(out.begin(), out.end(), [](const Served& a, const Served& b) { return a.id < b.id; });
  return out;
}

// Counted again from the finished timelines: at every arrival the chosen replica had the fewest unfinished requests
// for its weight.
TEST(Cell, LeastOutstandingIsTrueOfTheWholeRun) {
  const Scenario scenario = toy::fleet_scenario(2, 6);
  Fleet fleet = fleet_of(scenario);
  const std::vector<CellReplica> replicas =
      served_by(fleet, scenario, whole(scenario), RoutingPolicy::kLeastOutstanding);
  const std::vector<Served> served = served_in_order(replicas);
  ASSERT_GT(served.size(), 300U);
  std::size_t busy = 0;
  for (std::size_t i = 0; i < served.size(); ++i) {
    std::vector<double> load(replicas.size(), 1.0);
    for (std::size_t j = 0; j < i; ++j) {
      if (served[j].end > served[i].arrival) load[served[j].replica] += 1.0;
    }
    for (std::size_t r = 0; r < load.size(); ++r) load[r] /= scenario.plan.groups[replicas[r].group].routing_weight;
    EXPECT_EQ(load[served[i].replica], *std::min_element(load.begin(), load.end())) << "request " << served[i].id;
    if (load[served[i].replica] > 1.5) ++busy;
  }
  EXPECT_GT(busy, 20U) << "the fleet was never busy; the test shows nothing";
}

double mean_ttft(const std::vector<CellReplica>& replicas) {
  double sum = 0.0;
  double count = 0.0;
  for (const CellReplica& replica : replicas) {
    for (const RequestTimeline& t : replica.run.timelines) {
      sum += (t.token_times.front() - t.arrival).count();
      count += 1.0;
    }
  }
  return sum / count;
}

TEST(Cell, LookingAtLoadShortensTheQueues) {
  const Scenario scenario = toy::fleet_scenario(3, 12);
  Fleet fleet = fleet_of(scenario);
  const auto wait = [&](RoutingPolicy policy) {
    return mean_ttft(served_by(fleet, scenario, whole(scenario), policy));
  };
  const double random = wait(RoutingPolicy::kRandom);
  const double two = wait(RoutingPolicy::kPowerOfTwo);
  const double least = wait(RoutingPolicy::kLeastOutstanding);
  EXPECT_LT(two, 0.9 * random);
  EXPECT_LT(least, two);
}

TEST(Cell, AClientOfAClosedLoopStaysWithItsReplica) {
  Scenario scenario = toy::fleet_scenario(4, 4);
  ServingWorkload& workload = scenario.workload.serving;
  workload.arrival = Arrival::kClosedLoop;
  workload.duration = Seconds(0);
  workload.requests = 60;
  workload.concurrency = 6;
  Fleet fleet = fleet_of(scenario);
  const std::vector<CellReplica> replicas =
      served_by(fleet, scenario, whole(scenario), RoutingPolicy::kLeastOutstanding);
  // 6 replicas (4 and 2), of which the heavier ones are asked first; each client's requests lie on one of them.
  std::vector<std::size_t> replica_of(60);
  for (std::size_t r = 0; r < replicas.size(); ++r) {
    for (const RequestSpec& request : replicas[r].requests) replica_of[request.id] = r;
  }
  for (std::size_t i = 6; i < 60; ++i) EXPECT_EQ(replica_of[i], replica_of[i - 6]);
}

// 64 beginnings of 3 blocks and pools of 64 blocks: a replica holds a third of them, but all of the 8 that come to it
// when it keeps its own.
TEST(Cell, AReplicaThatKeepsItsOwnBeginningsFindsMore) {
  Scenario scenario = toy::fleet_scenario(1, 8);
  scenario.plan.groups.pop_back();
  GroupPlan& group = scenario.plan.groups.front();
  group.limits.kv_blocks = 64;
  group.limits.prefix_reuse = true;
  ServingWorkload& workload = scenario.workload.serving;
  workload.prompt = {50, 64};
  workload.shared_prefix = 48;
  workload.prefix_groups = 64;
  workload.rate = Hertz(4000.0);
  workload.duration = Seconds(0.25);
  Fleet fleet = fleet_of(scenario);
  const Cell cell = whole(scenario);
  const auto hit_rate = [&](RoutingPolicy policy) {
    double hits = 0.0;
    double prompts = 0.0;
    for (const CellReplica& replica : served_by(fleet, scenario, cell, policy)) {
      hits += static_cast<double>(replica.run.prefix_hit_tokens);
      prompts += static_cast<double>(replica.run.prefix_query_tokens);
    }
    return hits / prompts;
  };
  EXPECT_GT(hit_rate(RoutingPolicy::kPrefixAffinity), 1.5 * hit_rate(RoutingPolicy::kLeastOutstanding));
}

}  // namespace
}  // namespace lindos::sim
