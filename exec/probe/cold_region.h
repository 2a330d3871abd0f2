// SPDX-License-Identifier: Apache-2.0
// A stretch of memory larger than the last-level cache, filled with small numbers of one format. Kernels read
// weights or KV pages from it at rotating offsets, so that each visit finds them in no cache, as in a step,
// where all other weights pass through in between. Any offset holds valid operands.
#pragma once

#include <cstddef>
#include <cstdint>

#include "exec/runner/aligned_buffer.h"
#include "kernels/gemm.h"

namespace lindos::exec {

class ColdRegion {
 public:
  explicit ColdRegion(kernels::WeightType type);
  // Place of the `visit`-th visit by `rank` to an operand of `bytes`. Ranks walk through different parts.
  // An operand larger than the region itself does not fit: grow() first.
  [[nodiscard]] std::byte* at(int rank, int ranks, std::int64_t visit, std::size_t bytes) const;
  // Makes room for `ranks` operands of `bytes` side by side.
  void grow(int ranks, std::size_t bytes);
  [[nodiscard]] kernels::WeightType type() const { return type_; }

 private:
  void fill(std::size_t bytes);
  kernels::WeightType type_;
  AlignedBuffer buffer_;
};

// Bytes that no cache of this machine holds at once.
[[nodiscard]] std::size_t cold_bytes();

}  // namespace lindos::exec
