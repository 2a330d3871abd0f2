// SPDX-License-Identifier: Apache-2.0
// The load that a replica bears under the promises, found by simulating it request by request.
#pragma once

#include <cstdint>
#include <functional>

#include "scenarios/workload.h"
#include "sim/fleet.h"
#include "sim/stage_work.h"

namespace lindos::sim {

struct BorneLoad {
  double rate = 0.0;      // requests per second; 0: not even a lone request keeps the promises
  double kept = 1.0;      // share of the requests that kept them at that rate; of tenants, of the worst served one's
  Seconds ttft{0};        // median
  Seconds tpot{0};
  WorkTotals totals;      // where the prices came from
};

// Bisection around `guess` (between two rates a factor of two apart, one that keeps the promises) with one stream of requests, stretched in time: so the answer is
// a deterministic function of the seed. Requests that arrive while the replica fills or drains do not count. By the group's
// role: of a replica that only computes prompts the first tokens count, of one that only decodes the pace after them, with
// the transfer of each prompt's KV from a replica like itself.
[[nodiscard]] BorneLoad borne_load(ServingGroup& group, const ServingWorkload& workload, const Slo& slo, double guess,
                                   std::uint64_t seed, const std::function<bool()>& cancelled);

}  // namespace lindos::sim
