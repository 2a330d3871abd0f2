// SPDX-License-Identifier: Apache-2.0
// The rows x of a product of few rows in shared memory, normalised there.
#pragma once

#include "kernels/cuda/common.cuh"
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/reduce.cuh"

namespace lindos::kernels::cuda {

// Where they lie.
struct SharedRows {
  unsigned char* data;
  int row_bytes;      // from row to row
  int rows;           // 1 to 8
  int vectors;        // of 16 bytes, per row
  [[nodiscard]] __device__ __forceinline__ uint4* row(int r) const { return reinterpret_cast<uint4*>(data + r * row_bytes); }
};

// Sends all rows of x on their way at once, as one group of copies.
template <int kThreads>
__device__ __forceinline__ void fetch_rows(const SharedRows& to, const Number* x, std::int64_t ldx) {
  for (int r = 0; r < to.rows; ++r) {
    for (int i = threadIdx.x; i < to.vectors; i += kThreads) copy_async_16(shared_address(to.row(r) + i), x + r * ldx + i * 8);
  }
  commit_copies();
}

// Rows that have arrived become arranged(x · norm / sqrt(mean(x²) + eps) · factor), without a norm arranged(x · factor); each row
// by 8, 4, 2 or 1 warps. `sums`: [kWarps].
template <Element kElement, int kWarps, class Arrange>
__device__ __forceinline__ void normalise_rows(const SharedRows& x, const Number* norm, float eps, float factor, float* sums,
                                               Arrange arranged) {
  const int warp = threadIdx.x / kWarp;
  const int lane = threadIdx.x % kWarp;
  const int warps_per_row = kWarps / (x.rows > 4 ? 8 : x.rows > 2 ? 4 : x.rows);
  const int row = warp / warps_per_row;
  const int begin = warp % warps_per_row * kWarp + lane;
  const int step = warps_per_row * kWarp;
  uint4* values = x.row(row);
  float squares = 0.0F;
  if (norm != nullptr && row < x.rows) {
#pragma unroll 4
    for (int i = begin; i < x.vectors; i += step) add_squares<kElement>(squares, values[i]);
  }
  squares = sum_over_warp(squares);
  if (lane == 0) sums[warp] = squares;
  __syncthreads();
  if (row < x.rows) {
    float total = 0.0F;
    for (int w = 0; w < warps_per_row; ++w) total += sums[row * warps_per_row + w];
    const float scale = norm != nullptr ? rsqrtf(total / static_cast<float>(x.vectors * 8) + eps) * factor : factor;
    const auto* weights = reinterpret_cast<const uint4*>(norm);
#pragma unroll 4
    for (int i = begin; i < x.vectors; i += step) {
      values[i] = arranged(scaled<kElement>(values[i], scale, norm != nullptr ? __ldg(weights + i) : eight_ones<kElement>()));
    }
  }
  __syncthreads();
}

}  // namespace lindos::kernels::cuda
