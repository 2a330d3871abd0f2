// SPDX-License-Identifier: Apache-2.0
// FP8 E4M3 weights on tensor cores: beside bf16 activations, to which they are widened in registers (few rows), and beside
// E4M3 activations (many rows; compute capability 8.9 and later).
#pragma once

#include "kernels/cuda/element.cuh"

namespace lindos::kernels::cuda {

// E4M3 → bf16 moves the bits of exponent and mantissa into place and leaves 2^-120 to make good: bf16's exponent has
// another bias, and every E4M3 number, also a subnormal one, lies 2^120 above the bf16 of those bits. x takes 2^100 of it,
// so that no product is subnormal in f32 (least 2^-129 · 2^100 of x); the sum takes the rest with the row's scale.
inline constexpr float kXShift = 0x1p100F;
inline constexpr float kSumShift = 0x1p20F;

// Four E4M3 values (bytes 0 to 3) → their bf16 bits, 2^-120 too small: `even` holds bytes 0 and 2, `odd` 1 and 3.
__device__ __forceinline__ void widen_e4m3(std::uint32_t four, std::uint32_t& even, std::uint32_t& odd) {
  even = ((four << 8U) & 0x80008000U) | ((four << 4U) & 0x07f007f0U);
  odd = (four & 0x80008000U) | ((four >> 4U) & 0x07f007f0U);
}

// 16 values of two rows of W against 16 of x, which lie in the order of widen_e4m3.
__device__ __forceinline__ void mma_widened(float (&sum)[4], const uint4& low, const uint4& high, const uint4& x0, const uint4& x1) {
  const std::uint32_t l[4] = {low.x, low.y, low.z, low.w};
  const std::uint32_t h[4] = {high.x, high.y, high.z, high.w};
  const std::uint32_t x[8] = {x0.x, x0.y, x0.z, x0.w, x1.x, x1.y, x1.z, x1.w};
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    std::uint32_t low_even = 0, low_odd = 0, high_even = 0, high_odd = 0;
    widen_e4m3(l[j], low_even, low_odd);
    widen_e4m3(h[j], high_even, high_odd);
    mma_16x8x16<Element::kBf16>(sum, low_even, high_even, low_odd, high_odd, x[2 * j], x[2 * j + 1]);
  }
}

// Eight neighbours of x in the order of widen_e4m3: of each four (0, 2), (1, 3).
__device__ __forceinline__ uint4 interleaved(const uint4& x) {
  return {__byte_perm(x.x, x.y, 0x5410), __byte_perm(x.x, x.y, 0x7632), __byte_perm(x.z, x.w, 0x5410), __byte_perm(x.z, x.w, 0x7632)};
}
// Where it puts the number of a column.
__device__ __forceinline__ int interleaved_place(int column) {
  return (column & ~3) | (column & 1) << 1 | (column >> 1 & 1);
}

// d += a · b for one 16 × 8 × 32 tile of E4M3. Registers as mma_16x8x16's, with four values where that has two.
__device__ __forceinline__ void mma_e4m3(float (&d)[4], std::uint32_t a0, std::uint32_t a1, std::uint32_t a2, std::uint32_t a3,
                                         std::uint32_t b0, std::uint32_t b1) {
#if __CUDA_ARCH__ >= 890
  asm volatile("mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
#endif
}

}  // namespace lindos::kernels::cuda
