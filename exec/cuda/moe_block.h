// SPDX-License-Identifier: Apache-2.0
// The routed experts of a rank's layers on its GPU: scratch, and which kernels a number of tokens takes. Up to 8 tokens
// the kernels of few (norm and choice in one), beyond them products over rows sorted by expert (kernels/cuda/moe.h); with FP8
// experts their operands are quantised on the way.
// Nothing of the choice comes to the host: every step of so many rows launches the same grids, so it can be captured.
// Threading: one object per rank thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "exec/cuda/device_buffer.h"
#include "exec/cuda/device_weights.h"
#include "exec/cuda/products.h"
#include "exec/telemetry/op_timer.h"
#include "kernels/cuda/moe.h"
#include "scenarios/model.h"
#include "scenarios/plan.h"

namespace lindos::exec::cuda {

// One step in one layer.
struct MoeStep {
  std::int64_t rows = 0;
  const int* position = nullptr;               // [rows]; negative: padding
  const Number* x = nullptr;            // [rows, hidden]: the residual stream
  const Number* norm = nullptr;
  Number* normed = nullptr;             // [rows, hidden]: written
  bool is_normed = false;                      // not for few rows: it has been
  kernels::cuda::Launch launch;
  std::function<void(OpFamily)> mark;          // at the end of each family
};

class MoeBlock {
 public:
  MoeBlock() = default;                        // of a model without experts
  // For steps of at most `rows` rows.
  MoeBlock(const Model& model, const GroupPlan& group, const StagePlan& stage, const TensorShare& share, std::int64_t rows);

  // Norm and choice. `normed` serves the shared experts too.
  void choose(const DeviceExperts& w, const MoeStep& step, Products& products);
  // Activations of the rank's experts. After choose() with the same step.
  void activate(const DeviceExperts& w, const MoeStep& step);
  // y = (or +=, with `accumulate`) Σ of a token's experts that this rank holds. After activate() with the same step.
  void sum(const DeviceExperts& w, const MoeStep& step, Number* y, bool accumulate);
  // Times algorithms of the router's product for so many rows of `normed`.
  void tune(const DeviceExperts& w, const Number* normed, std::int64_t rows, Products& products, cudaStream_t stream);
  [[nodiscard]] std::size_t scratch_bytes() const;
  // Whether so many rows take the kernels for few of them, which do the norm themselves.
  [[nodiscard]] bool is_few(std::int64_t rows) const;

 private:
  [[nodiscard]] kernels::cuda::MoeGate gate(const MoeStep& step) const;
  [[nodiscard]] kernels::cuda::MoeExperts experts(const DeviceExperts& w) const;
  [[nodiscard]] kernels::cuda::MoeGroups groups() const;
  [[nodiscard]] kernels::cuda::MoeTiles tiles(const DeviceExperts& w, const MoeStep& step) const;
  [[nodiscard]] kernels::cuda::MoeFew few(const DeviceExperts& w, const MoeStep& step) const;
  // Rows of `k` → E4M3; `count`: how many there are, if the host does not know.
  static void quantise(const Number* x, std::int64_t rows, std::int64_t k, const int* count, const DeviceBuffer& y,
                       const DeviceBuffer& scales, const kernels::cuda::Launch& launch);

  Element element_ = Element::kBf16;
  Moe moe_;
  std::int64_t hidden_ = 0;
  float eps_ = 0.0F;
  Range held_;
  std::int64_t columns_ = 0;                   // of each expert
  DeviceBuffer logits_, activated_, products_;
  DeviceBuffer quantised_x_, x_scales_, quantised_, scales_;   // of FP8 experts beyond few tokens
  DeviceBuffer ticket_, hits_;                 // of few tokens
  DeviceBuffer expert_, weight_, slot_, offset_, token_, slot_weight_;
};

}  // namespace lindos::exec::cuda
