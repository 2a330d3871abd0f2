// SPDX-License-Identifier: Apache-2.0
// Which requests each simulated replica is given. The whole stream passes through the router, request by request, and
// only what the sampled replicas get is kept: an hour of a fleet's traffic is routed exactly in the memory of a few
// replicas.
#pragma once

#include <cstdint>
#include <vector>

#include "exec/scheduler/router.h"
#include "scenarios/plan.h"
#include "scenarios/request_stream.h"
#include "scenarios/workload.h"
#include "sim/replica_sample.h"

namespace lindos::sim {

struct FleetTraffic {
  // [group][place in the sample]: in order of arrival; none for a replica that got none.
  std::vector<std::vector<std::vector<RequestSpec>>> sampled;
  std::vector<double> requests;  // [group], of all its replicas
  [[nodiscard]] double total() const;
};

// Routes by a policy that looks at no load; the next request of a closed loop's client goes where its first one went.
// `clients`: of a closed loop, else 0. The same arguments give the same traffic. REQUIRES: a group with a routing
// weight above 0.
[[nodiscard]] FleetTraffic deal_requests(const Routing& routing, const std::vector<GroupPlan>& groups,
                                         const ReplicaSample& sample, RequestStream& stream, std::uint64_t seed,
                                         std::int64_t clients = 0);

}  // namespace lindos::sim
