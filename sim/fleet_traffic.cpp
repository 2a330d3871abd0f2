// SPDX-License-Identifier: Apache-2.0
#include "sim/fleet_traffic.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <numeric>

namespace lindos::sim {

namespace {

// Smooth weighted round robin: every turn each group gains its weight, the richest serves and pays the sum.
class GroupTurns {
 public:
  explicit GroupTurns(const std::vector<GroupPlan>& groups) : credit_(groups.size(), 0.0) {
    for (const GroupPlan& group : groups) {
      weights_.push_back(group.routing_weight *
                         static_cast<double>(std::max<std::int64_t>(1, group.replicas)));
    }
    sum_ = std::accumulate(weights_.begin(), weights_.end(), 0.0);
  }
  [[nodiscard]] std::size_t next() {
    for (std::size_t g = 0; g < credit_.size(); ++g) credit_[g] += weights_[g];
    const auto richest = std::max_element(credit_.begin(), credit_.end());
    *richest -= sum_;
    return static_cast<std::size_t>(richest - credit_.begin());
  }

 private:
  std::vector<double> weights_;
  std::vector<double> credit_;
  double sum_ = 0.0;
};

struct Target {
  std::size_t group = 0;
  std::int64_t replica = 0;
};

}  // namespace

double FleetTraffic::total() const { return std::accumulate(requests.begin(), requests.end(), 0.0); }

FleetTraffic deal_requests(const std::vector<GroupPlan>& groups, const ReplicaSample& sample,
                           RequestStream& stream, std::int64_t clients_of_loop) {
  FleetTraffic traffic;
  traffic.requests.assign(groups.size(), 0.0);
  for (std::size_t g = 0; g < groups.size(); ++g) traffic.sampled.emplace_back(sample.size(g));
  GroupTurns turns(groups);
  std::vector<std::int64_t> turn(groups.size(), 0);
  std::vector<Target> clients;  // of a closed loop
  std::size_t answered = 0;
  while (const std::optional<RequestSpec> request = stream.next()) {
    Target target;
    if (request->on_completion) {
      target = clients[answered++ % clients.size()];
    } else {
      target.group = turns.next();
      target.replica = turn[target.group];
      if (++turn[target.group] == sample.replicas(target.group)) turn[target.group] = 0;
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
