// SPDX-License-Identifier: Apache-2.0
// The weights of one rank on its GPU, as Hugging Face stores them ([n, k] row-major), q|k|v and gate|up stacked: bf16 or
// f16, or projections in FP8 E4M3 with a scale per output, quantised here from bf16 (LM head, embedding, norms and biases stay).
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
#include "kernels/cuda/element.h"
#include "scenarios/model.h"
#include "scenarios/ops.h"
#include "scenarios/plan.h"

namespace lindos::exec::cuda {

struct DeviceMatrix {
  Element element = Element::kBf16;            // of itself without `scales`, and of what it multiplies
  const void* data = nullptr;                  // [n, k]: 16-bit numbers, or E4M3 with `scales`
  std::int64_t n = 0;
  std::int64_t k = 0;
  const float* scales = nullptr;               // [n]: row r stands for scales[r] · row
  [[nodiscard]] bool fp8() const { return scales != nullptr; }
  [[nodiscard]] const Number* numbers() const { return static_cast<const Number*>(data); }
  [[nodiscard]] DeviceMatrix rows(std::int64_t begin, std::int64_t count) const {
    const std::int64_t bytes = begin * k * (fp8() ? 1 : 2);
    return {element, static_cast<const std::byte*>(data) + bytes, count, k, fp8() ? scales + begin : nullptr};
  }
};

// Routed experts of a layer, of those that the rank holds.
struct DeviceExperts {
  DeviceMatrix router;                         // [experts, hidden], of all experts
  DeviceMatrix gate_up;                        // [held][2 · columns, hidden], gate rows first
  DeviceMatrix down;                           // [held][hidden, columns]
};

struct DeviceLayer {
  const Number* input_norm = nullptr;
  const Number* post_norm = nullptr;
  const Number* q_norm = nullptr;              // null without QK-norm
  const Number* k_norm = nullptr;
  DeviceMatrix qkv;                            // [(q + 2 kv) · head_dim, hidden]
  const Number* qkv_bias = nullptr;            // null without biases
  DeviceMatrix o;                              // [hidden, q · head_dim]
  const Number* o_bias = nullptr;
  DeviceMatrix gate_up;                        // [2 · ffn, hidden], gate rows first
  const Number* gate_up_bias = nullptr;
  DeviceMatrix down;                           // [hidden, ffn]
  const Number* down_bias = nullptr;
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
  [[nodiscard]] const Number* final_norm() const { return final_norm_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  struct Part {
    std::string name;
    Range rows, cols;
  };
  // The parts one below the other, in 16 bits.
  DeviceMatrix matrix(const std::vector<Part>& parts);
  // Quantised where the plan says so.
  DeviceMatrix projection(const std::vector<Part>& parts);
  const Number* vector(const std::vector<Part>& parts);
  DeviceExperts experts(const Model& model, const StagePlan& stage, const TensorShare& share, std::int64_t layer);
  void load(const Part& part, Number* destination);

  const Checkpoint* checkpoint_;
  const Stream* stream_;
  Element element_;
  bool fp8_;
  std::vector<DeviceBuffer> buffers_;
  std::vector<DeviceLayer> layers_;
  DeviceMatrix embedding_;
  DeviceMatrix lm_head_;
  const Number* final_norm_ = nullptr;
  std::size_t bytes_ = 0;
};

// The plan's 16-bit format on a GPU: of activations and KV, and of weights that are not FP8.
[[nodiscard]] Element element_of(const GroupPlan& group);
[[nodiscard]] Dtype dtype_of(Element element);

// True when the CUDA backend can execute the plan; otherwise `reason` names what is missing.
[[nodiscard]] bool executable_on_cuda(const Model& model, const GroupPlan& group, std::string& reason);

}  // namespace lindos::exec::cuda
