// SPDX-License-Identifier: Apache-2.0
// Routed experts of one layer on one rank: router, choice, one pair of products per expert that is hit, weighted sum. The
// router is whole on every rank; an expert's rows are multiplied by the ranks that hold it, and the ranks' sums meet in the
// stage's all-reduce. A token's bits depend on its own row only.
// Ownership: scratch belongs to the object; pool and timer are borrowed. Threading: used by one rank thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "exec/model/rank_weights.h"
#include "exec/model/stage_model.h"
#include "exec/runner/aligned_buffer.h"
#include "exec/telemetry/op_timer.h"
#include "kernels/cpu_pool.h"
#include "kernels/moe.h"
#include "scenarios/model.h"
#include "scenarios/plan.h"

namespace lindos::exec {

class MoeBlock {
 public:
  // Scratch for at most `tokens` rows, as the capacity rule counts it; none for a dense model.
  MoeBlock(const Model& model, const StagePlan& stage, const TensorShare& share, std::int64_t tokens, kernels::CpuPool& pool,
           OpTimer& timer);

  // x [rows, hidden], normed → out [rows, hidden], written whole: the rank's part of the experts' sum.
  void forward(const MoeWeights& weights, const float* x, std::int64_t rows, float* out);
  [[nodiscard]] std::size_t scratch_bytes() const;
  [[nodiscard]] ExpertUse take_use() { return std::exchange(use_, {}); }

 private:
  Moe moe_;
  std::int64_t hidden_;
  Range held_;         // experts of this rank …
  std::int64_t ffn_;   // … and its columns of each
  AlignedBuffer scores_;                           // [tokens, experts]
  std::vector<std::int32_t> ids_;                  // [tokens, top_k], ascending
  std::vector<float> mix_;                         // [tokens, top_k]
  kernels::ExpertRows rows_;
  AlignedBuffer in_, gate_up_, activated_, out_;   // [pairs, width]
  ExpertUse use_;
  kernels::CpuPool* pool_;
  OpTimer* timer_;
};

}  // namespace lindos::exec
