// SPDX-License-Identifier: Apache-2.0
// The weights of one rank: its tensor share of its stage's layers, packed for kernels::gemm. Column-parallel:
// q, k, v, gate, up, LM head; row-parallel: o, down; norms, embedding table and row-parallel biases whole.
// Reads only the rank's slice of each tensor.
#pragma once

#include <cstdint>
#include <vector>

#include "exec/checkpoint/checkpoint.h"
#include "exec/runner/arena.h"
#include "kernels/gemm.h"
#include "scenarios/model.h"
#include "scenarios/ops.h"
#include "scenarios/plan.h"

namespace lindos::exec {

struct LayerWeights {
  std::vector<float> input_norm;       // [hidden]
  std::vector<float> post_norm;        // [hidden]
  std::vector<float> q_norm, k_norm;   // [head_dim], empty without QK-norm
  kernels::PackedWeights qkv;          // [(q + 2 kv) · head_dim, hidden], q rows first, then k, then v
  std::vector<float> qkv_bias;         // empty without biases
  kernels::PackedWeights o;            // [hidden, q · head_dim]
  std::vector<float> o_bias;           // [hidden]; added once, after the reduction
  kernels::PackedWeights gate_up;      // [2 · ffn, hidden], gate rows first
  std::vector<float> gate_up_bias;
  kernels::PackedWeights down;         // [hidden, ffn]
  std::vector<float> down_bias;        // [hidden]
};

class RankWeights {
 public:
  // Throws Error{kInput} for models this engine cannot run (mixture of experts, MLA, attention sinks,
  // weight dtypes other than f32 and bf16), naming the feature.
  RankWeights(const Model& model, const GroupPlan& group, ShardId shard, const Checkpoint& checkpoint);

  [[nodiscard]] const std::vector<LayerWeights>& layers() const { return layers_; }
  // Whole table; only on the first stage (n = 0 elsewhere).
  [[nodiscard]] const kernels::PackedWeights& embedding() const { return embedding_; }
  // The rank's vocabulary rows; only on the last stage.
  [[nodiscard]] const kernels::PackedWeights& lm_head() const { return lm_head_; }
  [[nodiscard]] const std::vector<float>& final_norm() const { return final_norm_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  kernels::PackedWeights pack_rows(const std::vector<float>& rows, std::int64_t n, std::int64_t k);
  Arena arena_;
  kernels::WeightType type_;
  std::vector<LayerWeights> layers_;
  kernels::PackedWeights embedding_;
  kernels::PackedWeights lm_head_;
  std::vector<float> final_norm_;
  std::size_t bytes_ = 0;
};

// True when `model` can be executed; otherwise `reason` names what is missing.
[[nodiscard]] bool executable(const Model& model, std::string& reason);

}  // namespace lindos::exec
