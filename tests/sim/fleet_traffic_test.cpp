// SPDX-License-Identifier: Apache-2.0
#include "sim/fleet_traffic.h"

#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace lindos::sim {
namespace {

class Listed final : public RequestStream {
 public:
  explicit Listed(std::vector<RequestSpec> requests) : requests_(std::move(requests)) {}
  std::optional<RequestSpec> next() override {
    if (next_ == requests_.size()) return std::nullopt;
    return requests_[next_++];
  }

 private:
  std::vector<RequestSpec> requests_;
  std::size_t next_ = 0;
};

std::vector<RequestSpec> requests_at_once(std::uint64_t count) {
  std::vector<RequestSpec> requests;
  for (std::uint64_t i = 0; i < count; ++i) requests.push_back({i, Seconds(0), 1, 1});
  return requests;
}

TEST(DealRequests, FollowTheRoutingWeights) {
  GroupPlan light;
  GroupPlan heavy;
  heavy.routing_weight = 3.0;
  heavy.replicas = 1;
  const std::vector<GroupPlan> groups{light, heavy};
  Listed stream(requests_at_once(8));
  const FleetTraffic traffic = deal_requests({}, groups, ReplicaSample(groups), stream, 1);
  EXPECT_EQ(traffic.requests, (std::vector<double>{2.0, 6.0}));
  EXPECT_EQ(traffic.sampled[0][0].size(), 2U);
  EXPECT_EQ(traffic.sampled[1][0].size(), 6U);
}

TEST(DealRequests, AClientOfAClosedLoopStaysWithItsReplica) {
  GroupPlan group;
  group.replicas = 4;
  std::vector<RequestSpec> requests = requests_at_once(8);
  // 3 clients on 4 replicas: the fourth never gets a request, as none of its own could let one in.
  for (std::size_t i = 3; i < 8; ++i) requests[i].on_completion = true;
  Listed stream(requests);
  const FleetTraffic traffic = deal_requests({}, {group}, ReplicaSample({group}), stream, 1, 3);
  const auto& shares = traffic.sampled[0];
  ASSERT_EQ(shares.size(), 4U);
  EXPECT_EQ(shares[0], (std::vector<RequestSpec>{requests[0], requests[3], requests[6]}));
  EXPECT_EQ(shares[1], (std::vector<RequestSpec>{requests[1], requests[4], requests[7]}));
  EXPECT_EQ(shares[2], (std::vector<RequestSpec>{requests[2], requests[5]}));
  EXPECT_TRUE(shares[3].empty());
}

TEST(DealRequests, ASampledReplicaGetsWhatItWouldGetAmongAll) {
  GroupPlan a;
  a.replicas = 30;
  GroupPlan b;
  b.replicas = 50;
  b.routing_weight = 0.7;
  const std::vector<GroupPlan> groups{a, b};
  const ReplicaSample all(groups);
  const ReplicaSample some(groups, 9, 7);
  Listed once(requests_at_once(1000));
  Listed again(requests_at_once(1000));
  const FleetTraffic every = deal_requests({}, groups, all, once, 1);
  const FleetTraffic few = deal_requests({}, groups, some, again, 1);
  EXPECT_EQ(every.requests, few.requests);
  EXPECT_EQ(few.total(), 1000.0);
  for (std::size_t g = 0; g < groups.size(); ++g) {
    ASSERT_EQ(some.size(g), 9U);
    for (std::int64_t r = 0; r < groups[g].replicas; ++r) {
      const std::int32_t place = some.place(g, r);
      if (place == ReplicaSample::kNone) continue;
      EXPECT_EQ(few.sampled[g][static_cast<std::size_t>(place)], every.sampled[g][static_cast<std::size_t>(r)]);
    }
  }
}

TEST(ReplicaSample, TakesDistinctReplicasAndFollowsTheSeed) {
  GroupPlan group;
  group.replicas = 1000;
  const auto members = [&](std::uint64_t seed) {
    const ReplicaSample sample({group}, 100, seed);
    std::set<std::int64_t> chosen;
    std::set<std::int32_t> places;
    for (std::int64_t r = 0; r < group.replicas; ++r) {
      if (sample.place(0, r) == ReplicaSample::kNone) continue;
      chosen.insert(r);
      places.insert(sample.place(0, r));
    }
    EXPECT_EQ(chosen.size(), 100U);
    EXPECT_EQ(places.size(), 100U);
    EXPECT_EQ(*places.rbegin(), 99);
    return chosen;
  };
  EXPECT_EQ(members(1), members(1));
  EXPECT_NE(members(1), members(2));
}

}  // namespace
}  // namespace lindos::sim
