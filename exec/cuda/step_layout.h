// SPDX-License-Identifier: Apache-2.0
// A step as one block of 32-bit integers that travels to the device in a single copy. Where each array begins depends
// on capacities only, so that a captured graph finds its inputs at the same place at every replay. No CUDA in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "exec/model/stage_model.h"
#include "kernels/cuda/page.h"

namespace lindos::exec::cuda {

// Capacities of one block.
struct StepLayout {
  std::int64_t rows = 0;
  std::int64_t slices = 0;
  std::int64_t table_stride = 0;   // blocks per sequence
  std::int64_t tiles = 0;          // of prefill attention

  // Offsets in integers.
  [[nodiscard]] std::size_t ids() const { return 0; }
  [[nodiscard]] std::size_t positions() const { return at(rows); }
  [[nodiscard]] std::size_t row_table() const { return at(2 * rows); }       // [rows]: row of the block table
  [[nodiscard]] std::size_t prefill_rows() const { return at(3 * rows); }    // [rows]: rows of prefill slices
  [[nodiscard]] std::size_t decode_rows() const { return at(4 * rows); }     // [slices]: their rows
  [[nodiscard]] std::size_t logit_rows() const { return at(4 * rows + slices); }
  [[nodiscard]] std::size_t tables() const { return at(4 * rows + 2 * slices); }   // decode slices first
  [[nodiscard]] std::size_t tile_list() const { return at(4 * rows + 2 * slices + slices * table_stride); }
  [[nodiscard]] std::size_t size() const { return tile_list() + at(tiles * kTileInts); }

  static constexpr std::int64_t kTileInts = sizeof(kernels::cuda::PrefillTile) / sizeof(std::int32_t);

 private:
  [[nodiscard]] static std::size_t at(std::int64_t n) { return static_cast<std::size_t>(n); }
};

struct PackedStep {
  std::int64_t decode_rows = 0;
  std::int64_t prefill_rows = 0;
  std::int64_t tiles = 0;
};

// The smallest layout that holds the step.
[[nodiscard]] StepLayout layout_of(const StepInput& input, std::int64_t table_stride);
// Every slice one new token with its logits wanted: a step that a captured graph can run.
[[nodiscard]] bool decode_only(const StepInput& input);
// Rows that a graph is captured for: the least power of two that holds `rows`.
[[nodiscard]] std::int64_t graph_bucket(std::int64_t rows);
// Fills out[layout.size()]; rows beyond the step's are padding: id 0, position −1. Tiles longest first.
// REQUIRES: the layout holds the step; no slice needs more than table_stride blocks.
PackedStep pack_step(const StepInput& input, const StepLayout& layout, std::int32_t* out);

}  // namespace lindos::exec::cuda
