// SPDX-License-Identifier: Apache-2.0
// Proposes shares: splits heads, FFN columns, vocabulary rows and layers over ranks in proportion to
// weights (relative speeds), in whole granules, by largest remainder with ties to the lower rank.
// Each phase (attention, FFN) is balanced by itself, since both end in an all-reduce (engine handbook §6).
#pragma once

#include <cstdint>
#include <vector>

#include "scenarios/model.h"
#include "scenarios/plan.h"

namespace lindos {

// Contiguous ranges that partition [0, total) in multiples of `granule` (the last takes the remainder).
// REQUIRES: weights not empty, all >= 0, at least one > 0. Ranges may be empty.
[[nodiscard]] std::vector<Range> split(std::int64_t total, std::int64_t granule,
                                       const std::vector<double>& weights);

enum class KvSplit { kWholeGroups, kReplicate };  // replicate: split q heads singly, KV heads may be held twice

// Shares of one stage. ffn and vocab granules: 16 on CPU, 128 on GPU.
[[nodiscard]] std::vector<TensorShare> balance_tensor(const Model& model,
                                                      const std::vector<double>& weights,
                                                      std::int64_t granule, KvSplit kv_split);

// Layer ranges per stage; embedding and LM head count as work (in layers) on the first and last stage.
[[nodiscard]] std::vector<Range> balance_layers(const Model& model, const std::vector<double>& weights);

// A single-group plan over `pool`: stages × ranks with the given weights (empty = even).
[[nodiscard]] Plan make_plan(const Model& model, const std::string& pool, int stages,
                             const std::vector<double>& tensor_weights,
                             const std::vector<double>& stage_weights, Dtype dtype,
                             const EngineLimits& limits, std::int64_t granule,
                             KvSplit kv_split = KvSplit::kReplicate);

}  // namespace lindos
