// SPDX-License-Identifier: Apache-2.0
// What a training plan's degrees mean together: micro-batches, copies of the parameters, model chunks.
// Devices of a group = replicas × stages × tensor ranks × context ranks; expert ranks are some of the
// replicas × context ranks. validate_training refuses what does not divide and names the nearest that does;
// the other functions REQUIRE a plan that it accepts.
#pragma once

#include <cstdint>
#include <string>

#include "scenarios/model.h"
#include "scenarios/plan.h"
#include "scenarios/workload.h"

namespace lindos {

// Micro-batches of one replica and step. With micro_batches = 0: its share of what the groups that state a
// number leave of global_batch.
[[nodiscard]] std::int64_t micro_batches_of(const Plan& plan, const GroupPlan& group,
                                            const TrainingWorkload& training);

// Ranks that hold the same dense parameters, all groups together: Σ replicas × context ranks.
[[nodiscard]] std::int64_t parameter_copies(const Plan& plan);

// Layers of model chunk `chunk` of a stage. One chunk: the stage's layers. With v virtual stages the plan's
// ranges only say how many layers a stage holds; chunk c of stage s comes after chunk c of stage s − 1, chunk 0
// after chunk c − 1 of the last (Narayanan et al., SC21). A stage whose layers v does not divide has one layer
// less in its last chunks, the first stage in its first ones, where the embedding is.
[[nodiscard]] Range chunk_layers(const GroupPlan& group, int stage, int chunk);

// Micro-batches of chunk `chunk` that stage `stage` has gone forward with and not yet backward, at most:
// 1F1B and its interleaved form.
[[nodiscard]] std::int64_t in_flight(const GroupPlan& group, std::int64_t micro_batches, int stage,
                                     int chunk);

// Throws Error{kInput} with `where`, group and constraint for degrees that do not divide, ranks without a head,
// micro-batches that do not add up to the global batch, chunks without a layer.
void validate_training(const Plan& plan, const Model& model, const TrainingWorkload& training,
                       const std::string& where);

}  // namespace lindos
