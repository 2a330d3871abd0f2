// SPDX-License-Identifier: Apache-2.0
// Where the stages of one replica sit, counting devices along the nodes from the replica's first, as interconnect_between
// reads positions. Stages of one pool lie one behind the other; another pool has other nodes, so that stages there begin in
// a scale-up domain of their own, and ranks of one stage on several pools reach each other beyond it. On a fabric of kind
// "shared-memory" all pools are parts of one machine.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "scenarios/hardware.h"
#include "scenarios/plan.h"

namespace lindos::sim {

struct StageSpan {
  std::int64_t first = 0;
  std::int64_t last = 0;    // of its devices; in another scale-up domain where its ranks are on several pools
  bool scattered = false;   // over several pools of different nodes
  // Of `count` of its devices from the first on.
  [[nodiscard]] std::int64_t last_of(std::int64_t count) const { return scattered ? last : first + count - 1; }
};

// Per stage. `domains`: devices of a scale-up domain by pool, at least 1 each. REQUIRES: every pool that the group names.
[[nodiscard]] std::vector<StageSpan> stage_spans(const GroupPlan& group, const Fabric& fabric,
                                                 const std::map<std::string, std::int64_t>& domains);

}  // namespace lindos::sim
