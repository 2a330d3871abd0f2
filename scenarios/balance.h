// SPDX-License-Identifier: Apache-2.0
// Proposes shares: splits heads, FFN columns, vocabulary rows and layers over ranks in proportion to
// weights (relative speeds), in whole granules, by largest remainder with ties to the lower rank.
// Each phase (attention, FFN) is balanced by itself, since both end in an all-reduce (engine handbook §6).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scenarios/model.h"
#include "scenarios/plan.h"

namespace lindos {

// Granules of FFN columns and vocabulary rows: a panel of the CPU's GEMM, a tile of the GPU's.
inline constexpr std::int64_t kCpuGranule = 16;
inline constexpr std::int64_t kGpuGranule = 128;
// Positions per KV block when serving on GPUs: one bulk copy per page on current ones (engine handbook, section 8).
inline constexpr std::int64_t kGpuBlockTokens = 64;

// Contiguous ranges that partition [0, total) in multiples of `granule`; only the end of the last non-empty
// one may be ragged. Ranges may be empty.
// Throws Error{kInput} unless weights are finite, >= 0 and at least one is > 0.
[[nodiscard]] std::vector<Range> split(std::int64_t total, std::int64_t granule,
                                       const std::vector<double>& weights);

enum class KvSplit { kWholeGroups, kReplicate };  // replicate: split q heads singly, KV heads may be held twice

// Shares of one stage. ffn and vocab granules: kCpuGranule or kGpuGranule. With whole groups a stage of more
// ranks than KV heads leaves ranks without attention. Routed experts are cut into columns like the FFN (every
// rank gets the full range) as long as a rank's columns of one expert fill a GPU granule; narrower, they are
// dealt out whole (expert parallel), provided there is at least one per rank.
[[nodiscard]] std::vector<TensorShare> balance_tensor(const Model& model,
                                                      const std::vector<double>& weights,
                                                      std::int64_t granule, KvSplit kv_split);

// KV heads that cover q heads [a, b) with `group` q heads each: [⌊a/g⌋, ⌈b/g⌉); empty for no q heads.
[[nodiscard]] Range kv_heads_of(const Range& q_heads, std::int64_t group);

// Layer ranges per stage, at least one layer each, for the least work of the slowest stage, then the least
// sum of squares; ties to the earlier stage. Work is parameters read per decoded token; the LM head counts
// on the last stage, the embedding as the one row it reads on the first.
// Throws Error{kInput} for more stages than layers or a weight that is not > 0.
[[nodiscard]] std::vector<Range> balance_layers(const Model& model, const std::vector<double>& weights);

// A single-group plan over `pool`: `stages` stages of tensor_weights.size() ranks (empty = one rank) with
// stage_weights (empty = even). Role kBoth, one replica. Activations are f32 with kCpuGranule or f32 weights,
// f16 with f16 weights, else bf16; the KV cache is stored as `dtype`, or bf16 when that is narrower.
[[nodiscard]] Plan make_plan(const Model& model, const std::string& pool, int stages,
                             const std::vector<double>& tensor_weights,
                             const std::vector<double>& stage_weights, Dtype dtype,
                             const EngineLimits& limits, std::int64_t granule,
                             KvSplit kv_split = KvSplit::kReplicate);

}  // namespace lindos
