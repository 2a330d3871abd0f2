// SPDX-License-Identifier: Apache-2.0
// Formulas that answer where no sample does: the roofline at the shares that tuned kernels of the
// device's generation sustain (device_class.h). Every price from here carries Tier::kAnalytic.
#pragma once

#include <optional>

#include "scenarios/dtype.h"
#include "scenarios/ops.h"
#include "sim/device_class.h"
#include "sim/interconnect.h"
#include "sim/roofline.h"

namespace lindos::sim {

// Of one of Op::count. With c = FLOP/(share · peak) and b = bytes/(0.8 bandwidth):
// max(c, b) + unhidden · min(c, b) + launch. `ceilings.rate`: dense peak of `dtype`, in which the
// op multiplies (matrix_dtype). `keys`: per sequence, attention only.
[[nodiscard]] Seconds analytic_compute_time(const Op& op, Dtype dtype, double keys,
                                            const Ceilings& ceilings, const DeviceClass& device);
// Collectives and messages of op.message_bytes among op.group ranks; empty when the bandwidth is
// unknown.
[[nodiscard]] std::optional<Seconds> analytic_message_time(const Op& op, const Interconnect& path);

// The format an op multiplies in: projections and experts in the weights' format, everything else
// (attention, head, router) in nothing narrower than bf16, as scenarios/ops.h counts it.
[[nodiscard]] Dtype matrix_dtype(const Op& op, Dtype weight_dtype);

}  // namespace lindos::sim
