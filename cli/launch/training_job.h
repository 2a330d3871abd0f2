// SPDX-License-Identifier: Apache-2.0
// A training plan as one job of equal replicas: all that Megatron-LM and DeepSpeed know.
#pragma once

#include <string>
#include <vector>

#include "cli/launch/placement.h"

namespace lindos::cli {

struct TrainingJob {
  UniformGroup shape;         // of the first group; the others are equal to it but for their pools
  Placement at;               // of the whole job
  std::int64_t replicas = 0;  // of all groups
  std::int64_t micro_batches = 0;  // per replica and step
};

// Throws Error{kInfeasible} for serving, for groups of different shape or micro-batches, and like
// uniform_group.
[[nodiscard]] TrainingJob training_job(const Scenario& scenario, const std::string& tool);

// A script that starts `program` once per device over torchrun with one flag per line; `program` is
// a shell word.
[[nodiscard]] Launch training_launch(const LaunchRequest& request, const TrainingJob& job,
                                     const std::string& tool, const std::string& suffix,
                                     const std::vector<std::string>& preparation,
                                     const std::string& program,
                                     const std::vector<std::string>& flags);

}  // namespace lindos::cli
