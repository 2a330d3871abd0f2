// SPDX-License-Identifier: Apache-2.0
// One rank's part of a replica on an NVIDIA GPU. Residual stream and activations bf16 or f16 as planned, sums f32, logits f32.
//   decode steps of one stage    → a CUDA graph per bucket of rows; up to 8 rows kernels overlapped by dependent launch,
//                                  beyond cuBLASLt for the products
//   prefill, mixed steps, stages → kernel by kernel, cuBLASLt for the products
// Ranks of a tensor group sum their partial products on the device (tensor_group.h); where the host takes part in that, their steps
// run kernel by kernel as well.
// Ownership: weights, KV pages, scratch, stream, graphs. Communicator and timer are borrowed.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "exec/comm/communicator.h"
#include "exec/cuda/device_buffer.h"
#include "exec/cuda/device_timer.h"
#include "exec/cuda/device_weights.h"
#include "exec/cuda/moe_block.h"
#include "exec/cuda/products.h"
#include "exec/cuda/step_layout.h"
#include "exec/cuda/tensor_group.h"
#include "exec/model/stage_model.h"
#include "exec/telemetry/op_timer.h"
#include "kernels/cuda/attention.h"
#include "kernels/cuda/elementwise.h"
#include "kernels/cuda/skinny_gemm.h"

namespace lindos::exec::cuda {

// Rows that a step may have: of prompts, or of the graph that holds all sequences, padding included.
[[nodiscard]] std::int64_t most_rows(const EngineLimits& limits);
// Rows for which a model with these limits times cuBLASLt's algorithms: powers of two, the prefill chunk, the largest step.
[[nodiscard]] std::vector<std::int64_t> tuned_rows(const EngineLimits& limits);

class CudaModel final : public StageModel {
 public:
  // `kv_blocks` and `host_blocks` by the capacity rule; `max_positions` bounds the rotary table. Throws Error{kInput} for what this backend
  // cannot run, Error{kEnvironment} when the device has no room or fails. `tuned`: timings of products, may be null.
  CudaModel(const Model& model, const GroupPlan& group, ShardId shard, const Checkpoint& checkpoint, std::int64_t kv_blocks,
            std::int64_t host_blocks, std::int64_t max_positions, Communicator& tensor_group, OpTimer& timer,
            std::shared_ptr<TunedProducts> tuned = nullptr, AllReduce all_reduce = AllReduce::kAuto);
  ~CudaModel() override;

  void meet() override;
  [[nodiscard]] std::span<float> incoming(std::int64_t rows) override;
  void forward(const StepInput& input) override;
  [[nodiscard]] std::span<const float> outgoing(std::int64_t rows) override;
  void candidates(const StepInput& input, std::int64_t per_row, std::vector<kernels::Candidate>& out) override;
  [[nodiscard]] std::span<const float> last_logits() override;
  [[nodiscard]] const char* sums_by() const override { return group_ ? group_->way() : ""; }

  [[nodiscard]] std::size_t weight_bytes() const override { return weights_.bytes(); }
  [[nodiscard]] std::size_t kv_bytes() const override { return kv_.bytes(); }
  [[nodiscard]] std::size_t scratch_bytes() const override;

 private:
  struct Graph {
    cudaGraphExec_t executable = nullptr;
    StepLayout layout;
    DeviceBuffer input;
    PinnedBuffer staging;
    bool learnt = false;     // how its time divides
  };
  // What the launches of one step need.
  struct Launches {
    const std::int32_t* input = nullptr;   // packed step on the device
    StepLayout layout;
    PackedStep counts;
    std::int64_t rows = 0;
    std::int64_t logit_rows = 0;
    bool fused = false;                    // the kernels of small steps
    bool dependent = false;
    bool timed = false;
  };

  // Starts the step's copies of KV blocks.
  void copy_blocks(const StepInput& input);
  void upload(const StepInput& input);
  // Kernel by kernel, from the embedding to the last layer.
  void run_kernels();
  void run_layers(const Launches& step);
  void attention_block(const Launches& step, std::int64_t layer);
  void ffn_block(const Launches& step, std::int64_t layer);
  void attend(const Launches& step, std::int64_t layer);
  // silu(gate) · up of the layer's FFN; `is_normed`: of its shared experts, on rows that lie in normed_ already.
  [[nodiscard]] Operand activate(const Launches& step, const DeviceLayer& w, bool is_normed);
  void experts_block(const Launches& step, const DeviceLayer& w, const Number* next_norm);
  void head(const Launches& step);
  // The largest logits of each wanted row, on their way to the host.
  void choose_candidates(std::int64_t per_row);
  void reserve_candidates(std::int64_t per_row);
  // The residual stream, normalised, as an operand of w; without `norm` what lies in normed_ already.
  [[nodiscard]] Operand normed(const Launches& step, const DeviceMatrix& w, const Number* norm);
  // True when w multiplies the step's rows by the kernel for few of them.
  [[nodiscard]] static bool small(const Launches& step, const DeviceMatrix& w);
  // residual += x · Wᵀ (+ bias), over all ranks of the group. `next_norm`: of the norm that the sum over ranks is to do as well, or null.
  void project_and_add(const Launches& step, const DeviceMatrix& w, OpFamily family, const Operand& x, const Number* bias,
                       const Number* next_norm);
  [[nodiscard]] Operand operand_of(const Launches& step, const DeviceMatrix& w, const Operand& x);
  void sum_over_ranks(const Launches& step, const Number* bias, const Number* next_norm);
  // True when w multiplies normalised rows as they lie in normed_.
  [[nodiscard]] static bool follows_normed(const Launches& step, const DeviceMatrix& w);
  // Of the norm before the layer after this one, where that reads normed_; else null.
  [[nodiscard]] const Number* norm_after(const Launches& step, std::int64_t layer) const;
  void mark(const Launches& step, OpFamily family);
  [[nodiscard]] kernels::cuda::Launch launch(const Launches& step) const { return {stream_.get(), step.dependent}; }
  [[nodiscard]] kernels::cuda::DeviceKv kv_of(std::int64_t layer) const;
  [[nodiscard]] kernels::cuda::HeadMap heads() const;
  [[nodiscard]] float attention_scale() const;
  [[nodiscard]] int window_of(std::int64_t layer) const;
  [[nodiscard]] Number* residual() const;
  [[nodiscard]] bool can_capture() const;
  void wait(const char* what);
  void tune();
  void capture_all();
  Graph& graph_for(std::int64_t bucket);
  void run_graph(const StepInput& input);

  Model model_;
  TensorShare share_;
  EngineLimits limits_;
  Element element_;
  Range layer_range_;
  bool first_stage_, last_stage_;
  bool captures_;                     // one stage: decode steps are graphs, if the sum over ranks can be part of them
  Stream stream_;
  DeviceWeights weights_;
  Products products_;
  MoeBlock moe_;
  DeviceTimer timer_;
  DeviceBuffer cos_, sin_;
  DeviceBuffer kv_;
  std::size_t kv_layer_elements_ = 0;
  std::size_t kv_block_elements_ = 0;   // K and V of one block of one layer
  PinnedBuffer host_kv_;                // [block][layer][kv_block_elements_]
  Stream copy_stream_;                  // of KV blocks, beside the compute stream
  std::vector<Event> copied_;           // by layer: its blocks are where the step needs them
  bool copies_pending_ = false;
  std::int64_t table_stride_ = 0;
  // Scratch.
  DeviceBuffer residual_;               // of a rank alone; a group has its own
  DeviceBuffer normed_, qkv_, attention_, gate_up_, activated_, logits_;
  const Number* normed_with_ = nullptr;   // weights of the norm of the residual stream that lies in normed_; null: of none
  DeviceBuffer tickets_, partials_, argmax_tickets_, argmax_parts_, best_, candidates_;
  DeviceBuffer step_input_;
  PinnedBuffer step_staging_;
  std::size_t step_capacity_ = 0;
  PinnedBuffer best_host_, candidates_host_, stage_host_, stage_numbers_;
  std::vector<float> logits_host_;
  Launches current_;
  bool graph_step_ = false;
  std::int64_t class_key_ = 0;
  std::map<std::int64_t, Graph> graphs_;
  // Null for a rank alone. Last, so that it ends first: what waits for a lost rank must leave before memory can be freed.
  std::unique_ptr<TensorGroup> group_;
};

}  // namespace lindos::exec::cuda
