// SPDX-License-Identifier: Apache-2.0
// Scheduler step → kernel input, and kernel input ↔ bytes for the ranks that do not hold the scheduler.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "exec/model/rank_model.h"
#include "exec/scheduler/request.h"
#include "scenarios/ops.h"

namespace lindos::exec {

[[nodiscard]] StepInput make_step_input(const scheduler::Step& step);
[[nodiscard]] std::vector<std::byte> encode(const StepInput& input);
// REQUIRES: bytes made by encode of the same program.
[[nodiscard]] StepInput decode(std::span<const std::byte> bytes);

}  // namespace lindos::exec
