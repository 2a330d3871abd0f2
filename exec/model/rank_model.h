// SPDX-License-Identifier: Apache-2.0
// One rank's forward pass over its stage: embedding (first stage), decoder layers, LM head (last stage), on
// the CPU kernels. Residual stream and activations f32; KV cache paged, f32 or bf16.
// Ownership: weights, KV pages and scratch belong to the object; pool and communicator are borrowed.
// Threading: used by one rank thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "exec/comm/communicator.h"
#include "exec/model/moe_block.h"
#include "exec/model/rank_weights.h"
#include "exec/model/rope_table.h"
#include "exec/model/stage_model.h"
#include "exec/runner/aligned_buffer.h"
#include "exec/telemetry/op_timer.h"
#include "kernels/attention.h"
#include "kernels/cpu_pool.h"
#include "scenarios/model.h"
#include "scenarios/ops.h"
#include "scenarios/plan.h"

namespace lindos::exec {

class RankModel final : public StageModel {
 public:
  // `kv_blocks` and `host_blocks` by the capacity rule; `max_positions` bounds the rotary table.
  RankModel(const Model& model, const GroupPlan& group, ShardId shard, const Checkpoint& checkpoint,
            std::int64_t kv_blocks, std::int64_t host_blocks, std::int64_t max_positions, kernels::CpuPool& pool,
            Communicator& tensor_group, OpTimer& timer);

  // First stage: fills the residual stream from ids. REQUIRES: input.rows() <= max_batched_tokens.
  void embed(const StepInput& input);
  // The layers of this stage, in place on the residual stream.
  void layers(const StepInput& input);
  // Last stage: logits [logit_rows, vocab share] of the wanted rows.
  [[nodiscard]] std::span<const float> logits(const StepInput& input);
  // Residual stream [rows, hidden]: what travels between stages.
  [[nodiscard]] std::span<float> residual(std::int64_t rows);

  [[nodiscard]] std::span<float> incoming(std::int64_t rows) override { return residual(rows); }
  void forward(const StepInput& input) override;
  [[nodiscard]] std::span<const float> outgoing(std::int64_t rows) override { return residual(rows); }
  void candidates(const StepInput& input, std::int64_t per_row, std::vector<kernels::Candidate>& out) override;
  [[nodiscard]] std::span<const float> last_logits() override { return last_logits_; }

  [[nodiscard]] ExpertUse take_expert_use() override { return moe_.take_use(); }
  [[nodiscard]] std::size_t weight_bytes() const override { return weights_.bytes(); }
  [[nodiscard]] std::size_t kv_bytes() const override { return kv_.bytes(); }
  [[nodiscard]] std::size_t scratch_bytes() const override;

 private:
  void attention_block(const StepInput& input, std::int64_t local_layer);
  void ffn_block(const StepInput& input, std::int64_t local_layer);
  void copy_blocks(const StepInput& input);
  [[nodiscard]] kernels::KvView kv_view(std::int64_t local_layer) const;
  // partial = W·x, or plus it.
  void project(const kernels::PackedWeights& w, OpFamily family, const float* x, std::int64_t rows, bool accumulate);
  // partial = (or +=) down · swiglu(gate_up · normed), which is zeros (or nothing) on a rank without columns.
  void ffn(const FfnWeights& w, const std::vector<float>& gate_up_bias, std::int64_t rows, bool accumulate);
  // Adds the partial results, summed over the ranks, and the bias to the residual stream.
  void add_partial(const std::vector<float>& bias, std::int64_t rows);

  Model model_;
  TensorShare share_;
  Range layer_range_;
  bool first_stage_;
  Dtype weight_dtype_;
  RankWeights weights_;
  RopeTable rope_;
  AlignedBuffer kv_, host_kv_;
  std::size_t kv_layer_bytes_ = 0;
  std::size_t kv_half_bytes_ = 0;
  std::size_t kv_piece_bytes_ = 0;
  kernels::WeightType kv_type_;
  // Scratch, f32: [max tokens, width].
  AlignedBuffer residual_, normed_, qkv_, attention_, gate_up_, activated_, partial_, logits_;
  MoeBlock moe_;
  std::span<const float> last_logits_;
  kernels::CpuPool* pool_;
  Communicator* comm_;
  OpTimer* timer_;
};

}  // namespace lindos::exec
