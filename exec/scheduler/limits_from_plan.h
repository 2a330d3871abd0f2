// SPDX-License-Identifier: Apache-2.0
// A plan's engine limits as the scheduler's: the one translation, used by engine and simulator,
// because two would drift apart and with them every prediction.
#pragma once

#include <cstdint>

#include "exec/scheduler/limits.h"
#include "scenarios/plan.h"

namespace lindos::scheduler {

// Of a replica that serves a plan; decodes go first, which bounds the time between tokens.
inline constexpr Policy kServingPolicy = Policy::kDecodeFirst;

// Blocks from the capacity rule (scenarios/capacity.h).
[[nodiscard]] Limits scheduler_limits(const GroupPlan& group, std::int64_t kv_blocks, std::int64_t host_blocks);

// Steps that may be under way at once: one per pipeline stage.
[[nodiscard]] int steps_in_flight(const GroupPlan& group);

}  // namespace lindos::scheduler
