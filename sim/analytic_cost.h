// SPDX-License-Identifier: Apache-2.0
// Formulas that answer where no sample does: utilisations of the roofline that are typical of
// Hopper-class GPUs and of tuned CPU kernels. Every price from here carries Tier::kAnalytic.
#pragma once

#include <optional>

#include "scenarios/ops.h"
#include "sim/interconnect.h"
#include "sim/roofline.h"

namespace lindos::sim {

// Of one of Op::count. Byte-bound ops: bytes/(0.8 bandwidth), plus a launch on a GPU.
[[nodiscard]] Seconds analytic_compute_time(const Op& op, const Ceilings& ceilings, Seconds launch);
// Collectives and messages of op.message_bytes among op.group ranks; empty when the bandwidth is
// unknown.
[[nodiscard]] std::optional<Seconds> analytic_message_time(const Op& op, const Interconnect& path);

}  // namespace lindos::sim
