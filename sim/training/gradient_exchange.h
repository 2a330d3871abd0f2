// SPDX-License-Identifier: Apache-2.0
// How long the ranks that hold the same parameters take to exchange gradients and parameters, and how much
// of it the last backward and the first forward passes hide. Collectives cost what NCCL's own model says
// (sim/nccl_model.h), in buckets as Megatron-Core cuts them.
#pragma once

#include <cstdint>

#include "scenarios/plan.h"
#include "scenarios/training_ops.h"
#include "scenarios/units.h"
#include "sim/nccl_model.h"
#include "sim/training/training_job.h"

namespace lindos::sim {

// Where the ranks of one exchange sit.
struct ExchangePaths {
  NcclPaths paths;
  NcclArch arch = NcclArch::kHopper;
  std::int64_t ranks_per_node = 1;  // of the exchange, inside one scale-up domain
  std::int64_t ranks_per_unit = 1;  // inside one array: the first level of a hierarchical exchange
};

// Passes of the stage that the exchange may run beside.
struct OverlapWindow {
  Seconds backward{0};       // last backward pass of one chunk
  Seconds forward{0};        // first forward pass of one chunk
  std::int64_t layers = 1;   // of one chunk: one layer's part is always exposed
  int chunks = 1;
  int stages = 1;
};

// What passes of `pass` hide of `times` collectives that take `all` together. With chunks, all but the last chunk's part
// also runs beside the passes of the others, as many as there are stages.
[[nodiscard]] Seconds hidden_exchange(Seconds all, double times, Seconds pass, const OverlapWindow& window);

[[nodiscard]] GradientExchange gradient_exchange(const StepEnd& end, const TrainingPlan& plan,
                                                 const ExchangePaths& where,
                                                 const OverlapWindow& window);

}  // namespace lindos::sim
