// SPDX-License-Identifier: Apache-2.0
// What makes sums equal bit for bit on every rank and backend: one order of addition, and one way
// to cut a vector into parts (the cut does not change bits, elements are independent).
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

namespace lindos::exec {

struct Part {
  std::size_t begin = 0;
  std::size_t end = 0;
  [[nodiscard]] std::size_t size() const { return end - begin; }
};

// The part of a vector of `size` floats that `rank` of `ranks` sums. Parts are whole cache lines
// (16 floats) where the size allows, so that ranks do not write to one line; the last ones may be
// empty.
[[nodiscard]] inline Part part_of(std::size_t size, int rank, int ranks) {
  constexpr std::size_t kLine = 16;
  const auto n = static_cast<std::size_t>(ranks);
  const std::size_t lines = (size + kLine - 1) / kLine;
  const std::size_t step = (lines + n - 1) / n * kLine;
  const std::size_t begin = std::min(size, static_cast<std::size_t>(rank) * step);
  return {begin, std::min(size, begin + step)};
}

// out[i] = ((in[0][i] + in[1][i]) + in[2][i]) + …, i < size. `out` overlaps no input. bytes:
// 4·size·(ranks + 1)
inline void sum_in_rank_order(std::span<const float* const> inputs, std::size_t size, float* out) {
  std::copy_n(inputs[0], size, out);
  for (const float* input : inputs.subspan(1)) {
    for (std::size_t i = 0; i < size; ++i) out[i] += input[i];
  }
}

}  // namespace lindos::exec
