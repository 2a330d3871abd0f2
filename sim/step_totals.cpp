// SPDX-License-Identifier: Apache-2.0
#include "sim/step_totals.h"

#include <algorithm>
#include <iterator>

namespace lindos::sim {

namespace {

// Keys that one new token after `context` sees.
std::int64_t keys_of(std::int64_t context, std::int64_t window) {
  return 1 + (window == 0 ? context : std::min(context, window - 1));
}

}  // namespace

std::optional<AttentionWindows> AttentionWindows::of(const Model& model) {
  AttentionWindows found;
  if (model.sliding_window.empty()) {
    found.size_ = 1;
    return found;
  }
  for (const std::int64_t window : model.sliding_window) {
    const auto end = found.windows_.begin() + static_cast<std::ptrdiff_t>(found.size_);
    if (std::find(found.windows_.begin(), end, window) != end) continue;
    if (found.size_ == kMost) return std::nullopt;
    found.windows_[found.size_++] = window;
  }
  return found;
}

StepTotals totals_of(const Batch& batch, const AttentionWindows& windows) {
  StepTotals totals;
  for (const Slice& slice : batch) {
    totals.tokens += slice.tokens;
    totals.rows += slice.wants_logits ? 1 : 0;
    totals.decodes = totals.decodes && slice.is_decode();
  }
  for (std::size_t w = 0; w < windows.size(); ++w) {
    if (!totals.decodes) totals.prefill[w] = attention_work(batch, false, windows[w]);
    totals.decode[w] = attention_work(batch, true, windows[w]);
  }
  return totals;
}

StepTotals decode_totals(std::span<const std::int64_t> contexts, const AttentionWindows& windows) {
  StepTotals totals;
  totals.tokens = totals.rows = std::ssize(contexts);
  for (std::size_t w = 0; w < windows.size(); ++w) {
    totals.decode[w].tokens = totals.tokens;
    for (const std::int64_t context : contexts) totals.decode[w].keys += keys_of(context, windows[w]);
    totals.decode[w].pairs = totals.decode[w].keys;
  }
  return totals;
}

void move_on(StepTotals& totals, std::span<const std::int64_t> contexts, std::int64_t later,
             const AttentionWindows& windows) {
  for (std::size_t w = 0; w < windows.size(); ++w) {
    AttentionWork& work = totals.decode[w];
    if (windows[w] == 0) {
      work.keys += totals.tokens;
    } else {
      work.keys = 0;
      for (const std::int64_t context : contexts) work.keys += keys_of(context + later, windows[w]);
    }
    work.pairs = work.keys;
  }
}

}  // namespace lindos::sim
