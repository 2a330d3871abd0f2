// SPDX-License-Identifier: Apache-2.0
// Numbers of one format in device code: to floats and back, two or eight at a time, and products on tensor cores.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <type_traits>

#include "kernels/cuda/element.h"

namespace lindos::kernels::cuda {

// f(std::integral_constant) for the format that a launch asks for.
template <class F>
void with_element(Element element, F&& f) {
  if (element == Element::kF16) {
    f(std::integral_constant<Element, Element::kF16>{});
  } else {
    f(std::integral_constant<Element, Element::kBf16>{});
  }
}

template <Element kElement>
__device__ __forceinline__ float widen(Number number) {
  if constexpr (kElement == Element::kF16) {
    return __half2float(__ushort_as_half(number.bits));
  } else {
    return __bfloat162float(__ushort_as_bfloat16(number.bits));
  }
}
// To nearest even; beyond the largest number infinity.
template <Element kElement>
__device__ __forceinline__ Number narrow(float value) {
  if constexpr (kElement == Element::kF16) {
    return {__half_as_ushort(__float2half_rn(value))};
  } else {
    return {__bfloat16_as_ushort(__float2bfloat16_rn(value))};
  }
}

// Two numbers in a 32-bit register → two floats, and back.
template <Element kElement>
__device__ __forceinline__ float2 unpack(std::uint32_t pair) {
  if constexpr (kElement == Element::kF16) {
    return __half22float2(reinterpret_cast<const __half2&>(pair));
  } else {
    return {__uint_as_float(pair << 16U), __uint_as_float(pair & 0xffff0000U)};
  }
}
template <Element kElement>
__device__ __forceinline__ std::uint32_t pack(float low, float high) {
  if constexpr (kElement == Element::kF16) {
    const __half2 pair = __floats2half2_rn(low, high);
    return reinterpret_cast<const std::uint32_t&>(pair);
  } else {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    return reinterpret_cast<const std::uint32_t&>(pair);
  }
}

// Eight neighbours in 16 bytes.
template <Element kElement>
__device__ __forceinline__ void unpack_eight(float (&f)[8], const uint4& v) {
  const std::uint32_t pairs[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    const float2 two = unpack<kElement>(pairs[j]);
    f[2 * j] = two.x;
    f[2 * j + 1] = two.y;
  }
}
template <Element kElement>
__device__ __forceinline__ void add_eight(float (&sum)[8], const uint4& v) {
  float f[8];
  unpack_eight<kElement>(f, v);
#pragma unroll
  for (int j = 0; j < 8; ++j) sum[j] += f[j];
}
template <Element kElement>
__device__ __forceinline__ uint4 pack_eight(const float (&f)[8]) {
  return {pack<kElement>(f[0], f[1]), pack<kElement>(f[2], f[3]), pack<kElement>(f[4], f[5]), pack<kElement>(f[6], f[7])};
}
template <Element kElement>
__device__ __forceinline__ void add_squares(float& sum, const uint4& v) {
  for (const std::uint32_t pair : {v.x, v.y, v.z, v.w}) {
    const float2 f = unpack<kElement>(pair);
    sum += f.x * f.x + f.y * f.y;
  }
}
// x · scale · weight.
template <Element kElement>
__device__ __forceinline__ uint4 scaled(const uint4& x, float scale, const uint4& weight) {
  const auto two = [scale](std::uint32_t a, std::uint32_t b) {
    const float2 f = unpack<kElement>(a);
    const float2 g = unpack<kElement>(b);
    return pack<kElement>(f.x * scale * g.x, f.y * scale * g.y);
  };
  return {two(x.x, weight.x), two(x.y, weight.y), two(x.z, weight.z), two(x.w, weight.w)};
}
template <Element kElement>
__device__ __forceinline__ uint4 eight_ones() {
  constexpr std::uint32_t kTwo = kElement == Element::kF16 ? 0x3c003c00U : 0x3f803f80U;
  return {kTwo, kTwo, kTwo, kTwo};
}
// d += a · b for one 16 × 8 × 16 tile, f32 accumulation. Lane (g, t) = (lane / 4, lane % 4) holds
//   a[0]: row g, k 2t..2t+1 · a[1]: row g+8, the same k · a[2], a[3]: k + 8
//   b[0]: column g, k 2t..2t+1 · b[1]: k + 8
//   d[0], d[1]: row g, columns 2t, 2t+1 · d[2], d[3]: row g+8.
// The order of k is free as long as a and b agree. Two steps at once therefore let lane t of a row hold 8 neighbouring
// values (16 bytes): {8t, 8t+1 | 8t+2, 8t+3} in the first, {8t+4, 8t+5 | 8t+6, 8t+7} in the second.
template <Element kElement>
__device__ __forceinline__ void mma_16x8x16(float (&d)[4], std::uint32_t a0, std::uint32_t a1, std::uint32_t a2,
                                            std::uint32_t a3, std::uint32_t b0, std::uint32_t b1) {
#define LINDOS_MMA(type)                                                                                                       \
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." type "." type ".f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};" \
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])                                                                \
               : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1))
  if constexpr (kElement == Element::kF16) {
    LINDOS_MMA("f16");
  } else {
    LINDOS_MMA("bf16");
  }
#undef LINDOS_MMA
}

// Both steps of 32 k: `low` is 8 values of row g, `high` of row g + 8, `b` of column g.
template <Element kElement>
__device__ __forceinline__ void mma_16x8x32(float (&d)[4], const uint4& low, const uint4& high, const uint4& b) {
  mma_16x8x16<kElement>(d, low.x, high.x, low.y, high.y, b.x, b.y);
  mma_16x8x16<kElement>(d, low.z, high.z, low.w, high.w, b.z, b.w);
}

}  // namespace lindos::kernels::cuda
