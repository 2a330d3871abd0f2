// SPDX-License-Identifier: Apache-2.0
// A rank's model on a part of the GPU: whatever thread calls it launches there.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "exec/cuda/device_partition.h"
#include "exec/model/stage_model.h"

namespace lindos::exec::cuda {

class PartitionedModel final : public StageModel {
 public:
  // `make` is called on the part.
  template <class Make>
  PartitionedModel(std::shared_ptr<const DevicePartition> part, const Make& make) : part_(std::move(part)) {
    const DevicePartition::Scope scope(part_);
    model_ = make();
  }
  void meet() override {
    const DevicePartition::Scope scope(part_);
    model_->meet();
  }
  [[nodiscard]] std::span<float> incoming(std::int64_t rows) override {
    const DevicePartition::Scope scope(part_);
    return model_->incoming(rows);
  }
  void forward(const StepInput& input) override {
    const DevicePartition::Scope scope(part_);
    model_->forward(input);
  }
  [[nodiscard]] std::span<const float> outgoing(std::int64_t rows) override {
    const DevicePartition::Scope scope(part_);
    return model_->outgoing(rows);
  }
  void candidates(const StepInput& input, std::int64_t per_row, std::vector<kernels::Candidate>& out) override {
    const DevicePartition::Scope scope(part_);
    model_->candidates(input, per_row, out);
  }
  [[nodiscard]] std::span<const float> last_logits() override {
    const DevicePartition::Scope scope(part_);
    return model_->last_logits();
  }
  [[nodiscard]] ExpertUse take_expert_use() override { return model_->take_expert_use(); }
  [[nodiscard]] const char* sums_by() const override { return model_->sums_by(); }
  [[nodiscard]] std::size_t weight_bytes() const override { return model_->weight_bytes(); }
  [[nodiscard]] std::size_t kv_bytes() const override { return model_->kv_bytes(); }
  [[nodiscard]] std::size_t scratch_bytes() const override { return model_->scratch_bytes(); }

 private:
  std::shared_ptr<const DevicePartition> part_;
  std::unique_ptr<StageModel> model_;
};

}  // namespace lindos::exec::cuda
