// SPDX-License-Identifier: Apache-2.0
#include "sim/fleet_traffic.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <numeric>
#include <optional>

#include "scenarios/error.h"

namespace lindos::sim {

namespace {

// As the router sees the groups' replicas.
std::vector<scheduler::ReplicaClass> replica_classes(const std::vector<GroupPlan>& groups) {
  std::vector<scheduler::ReplicaClass> classes;
  for (const GroupPlan& group : groups)
    classes.push_back({group.routing_weight, std::max<std::int64_t>(1, group.replicas)});
  return classes;
}

}  // namespace

double FleetTraffic::total() const { return std::accumulate(requests.begin(), requests.end(), 0.0); }

FleetTraffic deal_requests(const Routing& routing, const std::vector<GroupPlan>& groups, const ReplicaSample& sample,
                           RequestStream& stream, std::uint64_t seed, std::int64_t clients_of_loop) {
  LINDOS_ASSERT(!looks_at_load(routing.policy), "requests are dealt before anything is simulated");
  FleetTraffic traffic;
  traffic.requests.assign(groups.size(), 0.0);
  for (std::size_t g = 0; g < groups.size(); ++g) traffic.sampled.emplace_back(sample.size(g));
  scheduler::Router router(routing, replica_classes(groups), seed);
  std::vector<scheduler::Target> clients;  // of a closed loop
  std::size_t answered = 0;
  while (const std::optional<RequestSpec> request = stream.next()) {
    scheduler::Target target;
    if (request->on_completion) {
      target = clients[answered++ % clients.size()];
    } else {
      target = router.route(*request, {});
      if (std::ssize(clients) < clients_of_loop) clients.push_back(target);
    }
    traffic.requests[target.group] += 1.0;
    const std::int32_t place = sample.place(target.group, target.replica);
    if (place != ReplicaSample::kNone)
      traffic.sampled[target.group][static_cast<std::size_t>(place)].push_back(*request);
  }
  return traffic;
}

}  // namespace lindos::sim
