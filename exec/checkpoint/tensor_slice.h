// SPDX-License-Identifier: Apache-2.0
// Rows × columns of a row-major matrix as runs of neighbouring elements: whole rows are one run,
// columns one run per row. Every checkpoint reader checks and walks its slices through this.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "exec/checkpoint/checkpoint.h"
#include "scenarios/error.h"

namespace lindos::exec {

struct TensorSlice {
  std::size_t row_begin = 0;
  std::size_t rows = 0;
  std::size_t col_begin = 0;
  std::size_t cols = 0;
  std::size_t width = 0;  // columns of the whole tensor

  // visit(first element of the tensor, number of elements, offset in the tight output).
  template <typename Visit>
  void for_each_run(Visit visit) const {
    if (cols == width) {
      visit(row_begin * width, rows * cols, std::size_t{0});
      return;
    }
    for (std::size_t row = 0; row < rows; ++row) {
      visit((row_begin + row) * width + col_begin, cols, row * cols);
    }
  }
};

// Throws Error{kInput} unless the tensor has one or two dimensions, the range lies inside it and
// the output holds exactly rows × columns elements.
[[nodiscard]] inline TensorSlice checked_slice(const TensorInfo& info, std::int64_t row_begin,
                                               std::int64_t row_end, std::int64_t col_begin,
                                               std::int64_t col_end, std::size_t out_size,
                                               const std::string& where) {
  const std::string place = where + ": /" + info.name;
  if (info.shape.empty() || info.shape.size() > 2) {
    throw Error(ErrorKind::kInput, place,
                fmt::format("has shape [{}]; weights have one or two dimensions",
                            fmt::join(info.shape, ", ")));
  }
  const std::int64_t rows = info.shape.size() == 2 ? info.shape[0] : 1;
  const std::int64_t cols = info.shape.back();
  if (row_begin < 0 || row_begin > row_end || row_end > rows || col_begin < 0 ||
      col_begin > col_end || col_end > cols) {
    throw Error(ErrorKind::kInput, place,
                fmt::format("rows [{}, {}) × columns [{}, {}) leave the shape [{}]", row_begin,
                            row_end, col_begin, col_end, fmt::join(info.shape, ", ")));
  }
  const TensorSlice slice{
      static_cast<std::size_t>(row_begin), static_cast<std::size_t>(row_end - row_begin),
      static_cast<std::size_t>(col_begin), static_cast<std::size_t>(col_end - col_begin),
      static_cast<std::size_t>(cols)};
  if (slice.rows * slice.cols != out_size) {
    throw Error(ErrorKind::kInput, place,
                fmt::format("a slice of {} × {} elements was to go into room for {}", slice.rows,
                            slice.cols, out_size));
  }
  return slice;
}

}  // namespace lindos::exec
