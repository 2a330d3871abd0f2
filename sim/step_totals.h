// SPDX-License-Identifier: Apache-2.0
// What the ops of a step depend on, with grouped-query attention: how many tokens and rows of logits, and of the
// attention per window what its queries see. Batches of equal totals take equal time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "scenarios/model.h"
#include "scenarios/ops.h"
#include "scenarios/ops_builder.h"

namespace lindos::sim {

// The distinct attention windows of a model, 0 = all of the context.
class AttentionWindows {
 public:
  static constexpr std::size_t kMost = 2;
  // Nothing for a model with more.
  [[nodiscard]] static std::optional<AttentionWindows> of(const Model& model);
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::int64_t operator[](std::size_t i) const { return windows_[i]; }
  [[nodiscard]] std::size_t index_of(std::int64_t window) const { return windows_[0] == window ? 0 : 1; }

 private:
  std::array<std::int64_t, kMost> windows_{};
  std::size_t size_ = 0;
};

struct StepTotals {
  std::int64_t tokens = 0;
  std::int64_t rows = 0;     // that want logits
  bool decodes = true;       // and nothing else
  std::array<AttentionWork, AttentionWindows::kMost> prefill{}, decode{};  // [window]
};

[[nodiscard]] StepTotals totals_of(const Batch& batch, const AttentionWindows& windows);
// Of a step that decodes one token after each of `contexts`.
[[nodiscard]] StepTotals decode_totals(std::span<const std::int64_t> contexts, const AttentionWindows& windows);
// Makes them those of the step that follows `later` steps on: every context is that much longer.
void move_on(StepTotals& totals, std::span<const std::int64_t> contexts, std::int64_t later,
             const AttentionWindows& windows);

}  // namespace lindos::sim
