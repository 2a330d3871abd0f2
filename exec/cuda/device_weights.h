// SPDX-License-Identifier: Apache-2.0
// The weights of one rank on its GPU, as Hugging Face stores them ([n, k] row-major), q|k|v and gate|up stacked: bf16, or
// projections in FP8 E4M3 with a scale per output, quantised here from bf16 (LM head, embedding, norms and biases stay).
// Column-parallel: q, k, v, gate, up, LM head; row-parallel: o, down; norms, embedding table, row-parallel biases whole.
// Synthetic weights are made on the device, bit for bit those of the host; others are read through the host in bands.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "exec/checkpoint/checkpoint.h"
#include "exec/cuda/device_buffer.h"
#include "scenarios/model.h"
#include "scenarios/ops.h"
#include "scenarios/plan.h"

struct __nv_bfloat16;

namespace lindos::exec::cuda {

struct DeviceMatrix {
  const void* data = nullptr;                  // [n, k]: bf16, or E4M3 with `scales`
  std::int64_t n = 0;
  std::int64_t k = 0;
  const float* scales = nullptr;               // [n]: row r stands for scales[r] · row
  [[nodiscard]] bool fp8() const { return scales != nullptr; }
  [[nodiscard]] const __nv_bfloat16* bf16() const { return static_cast<const __nv_bfloat16*>(data); }
  [[nodiscard]] DeviceMatrix rows(std::int64_t begin, std::int64_t count) const {
    const std::int64_t bytes = begin * k * (fp8() ? 1 : 2);
    return {static_cast<const std::byte*>(data) + bytes, count, k, fp8() ? scales + begin : nullptr};
  }
};

// Routed experts of a layer, of those that the rank holds.
struct DeviceExperts {
  DeviceMatrix router;                         // [experts, hidden], of all experts
  const __nv_bfloat16* gate_up = nullptr;      // [held][2 · columns, hidden], gate rows first
  const __nv_bfloat16* down = nullptr;         // [held][hidden, columns]
};

struct DeviceLayer {
  const __nv_bfloat16* input_norm = nullptr;
  const __nv_bfloat16* post_norm = nullptr;
  const __nv_bfloat16* q_norm = nullptr;       // null without QK-norm
  const __nv_bfloat16* k_norm = nullptr;
  DeviceMatrix qkv;                            // [(q + 2 kv) · head_dim, hidden]
  const __nv_bfloat16* qkv_bias = nullptr;     // null without biases
  DeviceMatrix o;                              // [hidden, q · head_dim]
  const __nv_bfloat16* o_bias = nullptr;
  DeviceMatrix gate_up;                        // [2 · ffn, hidden], gate rows first
  const __nv_bfloat16* gate_up_bias = nullptr;
  DeviceMatrix down;                           // [hidden, ffn]
  const __nv_bfloat16* down_bias = nullptr;
  // In a layer with experts gate_up and down are those of the shared ones, empty without any.
  std::optional<DeviceExperts> experts;
};

class DeviceWeights {
 public:
  // Throws Error{kInput} for a model or dtype that the CUDA backend cannot run, naming the feature.
  DeviceWeights(const Model& model, const GroupPlan& group, ShardId shard, const Checkpoint& checkpoint, const Stream& stream);

  [[nodiscard]] const std::vector<DeviceLayer>& layers() const { return layers_; }
  [[nodiscard]] const DeviceMatrix& embedding() const { return embedding_; }   // first stage only
  [[nodiscard]] const DeviceMatrix& lm_head() const { return lm_head_; }       // last stage only
  [[nodiscard]] const __nv_bfloat16* final_norm() const { return final_norm_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  struct Part {
    std::string name;
    Range rows, cols;
  };
  // The parts one below the other, bf16.
  DeviceMatrix matrix(const std::vector<Part>& parts);
  // Quantised where the plan says so.
  DeviceMatrix projection(const std::vector<Part>& parts);
  const __nv_bfloat16* vector(const std::vector<Part>& parts);
  DeviceExperts experts(const Model& model, const StagePlan& stage, const TensorShare& share, std::int64_t layer);
  void load(const Part& part, __nv_bfloat16* destination);

  const Checkpoint* checkpoint_;
  const Stream* stream_;
  bool fp8_;
  std::vector<DeviceBuffer> buffers_;
  std::vector<DeviceLayer> layers_;
  DeviceMatrix embedding_;
  DeviceMatrix lm_head_;
  const __nv_bfloat16* final_norm_ = nullptr;
  std::size_t bytes_ = 0;
};

// True when the CUDA backend can execute the plan; otherwise `reason` names what is missing.
[[nodiscard]] bool executable_on_cuda(const Model& model, const GroupPlan& group, std::string& reason);

}  // namespace lindos::exec::cuda
