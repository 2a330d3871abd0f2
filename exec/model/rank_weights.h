// SPDX-License-Identifier: Apache-2.0
// The weights of one rank: its tensor share of its stage's layers, packed for kernels::gemm. Column-parallel:
// q, k, v, gate, up, LM head; row-parallel: o, down; norms, router, embedding table and row-parallel biases whole. Routed
// experts: all columns of the rank's, or the rank's columns of all. Reads only the rank's slice of each tensor.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "exec/checkpoint/checkpoint.h"
#include "exec/checkpoint/moe_names.h"
#include "exec/runner/arena.h"
#include "kernels/gemm.h"
#include "scenarios/model.h"
#include "scenarios/ops.h"
#include "scenarios/plan.h"

namespace lindos::exec {

struct FfnWeights {
  kernels::PackedWeights gate_up;      // [2 · width, hidden], gate rows first
  kernels::PackedWeights down;         // [hidden, width]
};

struct MoeWeights {
  kernels::PackedWeights router;       // [experts, hidden]
  std::vector<FfnWeights> experts;     // those that the rank holds
  FfnWeights shared;                   // n = k = 0 without shared experts
};

struct LayerWeights {
  std::vector<float> input_norm;       // [hidden]
  std::vector<float> post_norm;        // [hidden]
  std::vector<float> q_norm, k_norm;   // [head_dim], empty without QK-norm
  kernels::PackedWeights qkv;          // [(q + 2 kv) · head_dim, hidden], q rows first, then k, then v
  std::vector<float> qkv_bias;         // empty without biases
  kernels::PackedWeights o;            // [hidden, q · head_dim]
  std::vector<float> o_bias;           // [hidden]; added once, after the reduction
  FfnWeights ffn;                      // of width ffn; empty in a layer with experts
  std::vector<float> gate_up_bias;
  std::vector<float> down_bias;        // [hidden]
  std::optional<MoeWeights> moe;
};

class RankWeights {
 public:
  // Throws Error{kInput} for models this engine cannot run (MLA, attention sinks, experts of unknown families, weight
  // dtypes other than f32, bf16 and f16), naming the feature.
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
  FfnWeights read_ffn(const Checkpoint& checkpoint, const FfnNames& names, Range columns, std::int64_t hidden);
  MoeWeights read_moe(const Checkpoint& checkpoint, const Model& model, const StagePlan& stage, const TensorShare& share,
                      std::int64_t layer);
  Arena arena_;
  Dtype dtype_ = Dtype::kF32;
  kernels::WeightType type_;
  std::vector<LayerWeights> layers_;
  kernels::PackedWeights embedding_;
  kernels::PackedWeights lm_head_;
  std::vector<float> final_norm_;
  std::size_t bytes_ = 0;
};

// True when the CPU can execute `model`; otherwise `reason` names what is missing.
[[nodiscard]] bool executable(const Model& model, std::string& reason);

}  // namespace lindos::exec
