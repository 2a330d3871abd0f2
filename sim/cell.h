// SPDX-License-Identifier: Apache-2.0
// A cell: the replicas that one router sees, served side by side on a virtual clock, each request sent where the router
// sends it at the time it arrives. The max-plus rung, because a router that looks at load needs every replica at every
// arrival; a finer rung may then time each replica with the requests that it was dealt.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "scenarios/plan.h"
#include "scenarios/workload.h"
#include "sim/fleet.h"
#include "sim/serving_run.h"
#include "sim/stage_work.h"

namespace lindos::sim {

struct Cell {
  std::vector<std::int64_t> replicas;  // [group]
  std::vector<RequestSpec> requests;   // sorted by arrival
};

struct CellReplica {
  std::size_t group = 0;
  std::vector<RequestSpec> requests;  // dealt to it, in order of arrival
  ServingRun run;                     // empty without requests
};

// The next request of a closed loop's client goes where its first one went. `draws`: [group], or null for the centre.
// `cancelled` may be empty. All replicas in order of groups. REQUIRES: a replica with a routing weight above 0.
[[nodiscard]] std::vector<CellReplica> serve_cell(std::vector<ServingGroup>& groups, const Routing& routing,
                                                  const Cell& cell, std::uint64_t seed,
                                                  const std::vector<Draw>* draws = nullptr,
                                                  const std::function<bool()>& cancelled = {});

}  // namespace lindos::sim
