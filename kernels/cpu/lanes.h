// SPDX-License-Identifier: Apache-2.0
// Vectors of one instruction set. Included once per translation unit, which names the instruction set by
// LINDOS_ISA (avx512_bf16, avx512, avx2, portable): all that follows lives in a namespace of that name, so that code
// compiled with wider flags can never be linked in place of narrower code. For the same reason the headers
// of this folder use no inline function of the standard library.
// avx2 and avx512 give equal bits: reductions are defined on 16 virtual lanes, products are fused. So does
// avx512_bf16, but where numbers are below 2^-126.
// portable (no fused multiply-add) rounds each product and may differ in the last bits.
#pragma once

#include <cstdint>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

// Array bounds from int template parameters; g++ 12 takes each for a lossy conversion.
#pragma GCC diagnostic ignored "-Wsign-conversion"

namespace lindos::kernels::LINDOS_ISA {

#if defined(__AVX512F__)
inline constexpr int kLanes = 16;
using Vec = __m512;
#elif defined(__AVX2__)
inline constexpr int kLanes = 8;
using Vec = __m256;
#else
inline constexpr int kLanes = 4;
typedef float Vec __attribute__((vector_size(16)));
#endif
typedef std::int32_t IntVec __attribute__((vector_size(4 * kLanes)));
typedef std::uint32_t WordVec __attribute__((vector_size(4 * kLanes)));

#define LINDOS_INLINE [[gnu::always_inline]] inline

LINDOS_INLINE Vec load(const void* p) {
  Vec v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

LINDOS_INLINE void store(float* p, Vec v) { __builtin_memcpy(p, &v, sizeof v); }

LINDOS_INLINE Vec splat(float x) {
#if defined(__AVX512F__)
  return _mm512_set1_ps(x);
#elif defined(__AVX2__)
  return _mm256_set1_ps(x);
#else
  return Vec{x, x, x, x};
#endif
}

LINDOS_INLINE Vec fma(Vec a, Vec b, Vec c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__AVX2__)
  return _mm256_fmadd_ps(a, b, c);
#else
  return a * b + c;
#endif
}

LINDOS_INLINE Vec max(Vec a, Vec b) { return a > b ? a : b; }  // b where a is NaN

// e^x = 2^n e^r: x = n ln 2 + r with |r| <= ln 2 / 2; e^r by its Taylor polynomial of degree 7, whose
// remainder is below r^8 / 8! = 5.2e-9, a twentieth of the rounding unit; n is read off the bits of
// x log2(e) + 1.5 * 2^23.
struct Power {
  Vec fraction;  // e^r
  IntVec whole;  // n
};
LINDOS_INLINE Power power_of_e(Vec x) {
  const Vec magic = splat(12582912.0F);
  const Vec shifted = fma(x, splat(1.44269504F), magic);
  const Vec n = shifted - magic;
  Vec r = fma(n, splat(-0.693145752F), x);  // ln 2 in two parts: 15 bits, exact times n, and the rest
  r = fma(n, splat(-1.42860677e-6F), r);
  Vec p = splat(1.0F / 5040.0F);
  p = fma(p, r, splat(1.0F / 720.0F));
  p = fma(p, r, splat(1.0F / 120.0F));
  p = fma(p, r, splat(1.0F / 24.0F));
  p = fma(p, r, splat(1.0F / 6.0F));
  p = fma(p, r, splat(0.5F));
  p = fma(p, r, splat(1.0F));
  p = fma(p, r, splat(1.0F));
  return {p, __builtin_bit_cast(IntVec, shifted) - __builtin_bit_cast(IntVec, magic)};
}
LINDOS_INLINE Vec power_of_two(IntVec n) { return __builtin_bit_cast(Vec, (n + 127) << 23); }

// Within 2 ulp for results that are normal numbers; 0 below -87.33, infinity above 88.72.
inline constexpr float kSmallestExponent = -87.3365479F;
LINDOS_INLINE Vec exponential(Vec x) {
  const Power e = power_of_e(x);
  // 2^n in two factors, since 2^128 alone is not a float although e^88.7 is.
  const IntVec half = e.whole >> 1;
  const Vec y = e.fraction * power_of_two(half) * power_of_two(e.whole - half);
  const Vec bounded = x > splat(88.7228394F) ? splat(__builtin_inff()) : y;
  return x < splat(kSmallestExponent) ? splat(0.0F) : bounded;
}

// The same bits for x <= 0 (or NaN) with less work.
LINDOS_INLINE Vec exponential_nonpositive(Vec x) {
  const Power e = power_of_e(x);
  return x < splat(kSmallestExponent) ? splat(0.0F) : e.fraction * power_of_two(e.whole);
}

// 16 floats: the outputs of a panel, the keys of a page, the virtual lanes of a reduction.
inline constexpr int kVecs = 16 / kLanes;
struct Sixteen {
  Vec v[kVecs];
};

LINDOS_INLINE Sixteen load16(const float* p) {
  Sixteen s;
#pragma GCC unroll 4
  for (int i = 0; i < kVecs; ++i) s.v[i] = load(p + i * kLanes);
  return s;
}

LINDOS_INLINE void store16(float* p, const Sixteen& s) {
#pragma GCC unroll 4
  for (int i = 0; i < kVecs; ++i) store(p + i * kLanes, s.v[i]);
}

LINDOS_INLINE Sixteen splat16(float x) {
  Sixteen s;
#pragma GCC unroll 4
  for (int i = 0; i < kVecs; ++i) s.v[i] = splat(x);
  return s;
}

// The 16 lanes folded by `op` to four, lane i with lane i + 8, then with i + 4: for every vector width the
// same balanced tree.
typedef float Four __attribute__((vector_size(16)));
template <class Op>
LINDOS_INLINE Four folded(const Sixteen& s, Op op) {
#if defined(__AVX512F__)
  const __m256 a = op(__builtin_shufflevector(s.v[0], s.v[0], 0, 1, 2, 3, 4, 5, 6, 7),
                      __builtin_shufflevector(s.v[0], s.v[0], 8, 9, 10, 11, 12, 13, 14, 15));
  return op(__builtin_shufflevector(a, a, 0, 1, 2, 3), __builtin_shufflevector(a, a, 4, 5, 6, 7));
#elif defined(__AVX2__)
  const __m256 a = op(s.v[0], s.v[1]);
  return op(__builtin_shufflevector(a, a, 0, 1, 2, 3), __builtin_shufflevector(a, a, 4, 5, 6, 7));
#else
  return op(op(s.v[0], s.v[2]), op(s.v[1], s.v[3]));
#endif
}

LINDOS_INLINE float sum16(const Sixteen& s) {
  const Four f = folded(s, [](auto a, auto b) { return a + b; });
  return (f[0] + f[2]) + (f[1] + f[3]);
}

LINDOS_INLINE float larger(float a, float b) { return a > b ? a : b; }

LINDOS_INLINE float max16(const Sixteen& s) {
  const Four f = folded(s, [](auto a, auto b) { return a > b ? a : b; });
  return larger(larger(f[0], f[2]), larger(f[1], f[3]));
}

// How 16 neighbouring weights or cache entries lie in memory.
struct LoadF32 {
  using Element = float;
  LINDOS_INLINE static Sixteen row(const float* p) { return load16(p); }
  LINDOS_INLINE static float one(float x) { return x; }
};

typedef std::uint16_t Halves __attribute__((vector_size(2 * kLanes)));
LINDOS_INLINE Halves load_halves(const std::uint16_t* p) {
  Halves h;
  __builtin_memcpy(&h, p, sizeof h);
  return h;
}
LINDOS_INLINE WordVec to_words(Halves h) {
#if defined(__AVX512F__)
  return __builtin_bit_cast(WordVec, _mm512_cvtepu16_epi32(__builtin_bit_cast(__m256i, h)));
#elif defined(__AVX2__)
  // The generic conversion below becomes two half conversions and an insertion under g++ 12.
  return __builtin_bit_cast(WordVec, _mm256_cvtepu16_epi32(__builtin_bit_cast(__m128i, h)));
#else
  return __builtin_convertvector(h, WordVec);
#endif
}

// bf16 weights lie in panel rows of 16 words, one per output: k = 2 i in the low halves, k = 2 i + 1 in the high ones.

#if defined(__AVX512BF16__)
// The processor multiplies such pairs itself; the other operand is a pair, too.
using RoundedLeft = std::uint32_t;
inline constexpr int kLeftsOfPair = 1;

// fma(even, even, fma(odd, odd, acc)) of each word; numbers below 2^-126 count as zero (Intel SDM, VDPBF16PS).
LINDOS_INLINE Vec multiply_pairs(RoundedLeft x, Vec words, Vec acc) {
  return _mm512_dpbf16_ps(acc, __builtin_bit_cast(__m512bh, _mm512_set1_epi32(static_cast<int>(x))),
                          __builtin_bit_cast(__m512bh, words));
}

// 32 values to 16 pairs, rounded to nearest even.
inline constexpr int kRoundedToBf16 = 32;
LINDOS_INLINE void round_to_bf16(const float* x, RoundedLeft* to) {
  const auto pairs = _mm512_cvtne2ps_pbh(load(x + 16), load(x));
  __builtin_memcpy(to, &pairs, sizeof pairs);
}
#else
using RoundedLeft = float;
inline constexpr int kLeftsOfPair = 2;

// The high (odd k) or low (even k) halves of a panel row, widened.
template <bool kOdd>
struct LoadHalves {
  using Element = std::uint32_t;
  LINDOS_INLINE static Sixteen row(const std::uint32_t* p) {
    Sixteen s;
#pragma GCC unroll 4
    for (int i = 0; i < kVecs; ++i) {
      const auto words = __builtin_bit_cast(WordVec, load(p + i * kLanes));
      s.v[i] = __builtin_bit_cast(Vec, kOdd ? words & 0xffff0000U : words << 16);
    }
    return s;
  }
};

// kLanes values, rounded to nearest even; NaN stays NaN.
inline constexpr int kRoundedToBf16 = kLanes;
LINDOS_INLINE void round_to_bf16(const float* x, RoundedLeft* to) {
  const auto bits = __builtin_bit_cast(WordVec, load(x));
  const WordVec rounded = bits + 0x7fffU + ((bits >> 16) & 1U);
  const WordVec bf16 = ((bits & 0x7fffffffU) > 0x7f800000U ? bits | 0x400000U : rounded) & 0xffff0000U;
  store(to, __builtin_bit_cast(Vec, bf16));
}
#endif

struct LoadBf16 {
  using Element = std::uint16_t;
  LINDOS_INLINE static Sixteen row(const std::uint16_t* p) {
    Sixteen s;
#pragma GCC unroll 4
    for (int i = 0; i < kVecs; ++i) s.v[i] = __builtin_bit_cast(Vec, to_words(load_halves(p + i * kLanes)) << 16);
    return s;
  }
  LINDOS_INLINE static float one(std::uint16_t x) {
    return __builtin_bit_cast(float, static_cast<std::uint32_t>(x) << 16);
  }
};

// IEEE half precision (kernels/f16.h says how it widens and rounds without instructions for it).
LINDOS_INLINE Vec widened_f16(Halves h) {
#if defined(__AVX512F__)
  return _mm512_cvtph_ps(__builtin_bit_cast(__m256i, h));
#elif defined(__F16C__)
  return _mm256_cvtph_ps(__builtin_bit_cast(__m128i, h));
#else
  const WordVec words = to_words(h);
  const WordVec magnitude = (words & 0x7fffU) << 13;
  const auto shifted = __builtin_bit_cast(WordVec, __builtin_bit_cast(Vec, magnitude) * splat(0x1p112F));
  const WordVec value = (words & 0x7c00U) == 0x7c00U ? magnitude | 0x7f800000U : shifted;
  return __builtin_bit_cast(Vec, value | (words & 0x8000U) << 16);
#endif
}
LINDOS_INLINE Vec rounded_to_f16(Vec x) {
#if defined(__AVX512F__)
  return _mm512_cvtph_ps(_mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
#elif defined(__F16C__)
  return _mm256_cvtph_ps(_mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
#else
  const auto bits = __builtin_bit_cast(WordVec, x);
  const WordVec magnitude = bits & 0x7fffffffU;
  const WordVec normal = (magnitude + 0xfffU + ((magnitude >> 13) & 1U)) & ~0x1fffU;
  const Vec half = splat(0.5F);
  const auto subnormal = __builtin_bit_cast(WordVec, __builtin_bit_cast(Vec, magnitude) + half - half);
  const WordVec finite = magnitude < 0x38800000U ? subnormal : normal;
  const WordVec bounded = finite > 0x477fe000U ? WordVec{} + 0x7f800000U : finite;
  const WordVec value = magnitude > 0x7f800000U ? magnitude | 0x400000U : bounded;
  return __builtin_bit_cast(Vec, value | (bits & 0x80000000U));
#endif
}
struct LoadF16 {
  using Element = std::uint16_t;
  LINDOS_INLINE static Sixteen row(const std::uint16_t* p) {
    Sixteen s;
#pragma GCC unroll 4
    for (int i = 0; i < kVecs; ++i) s.v[i] = widened_f16(load_halves(p + i * kLanes));
    return s;
  }
  LINDOS_INLINE static float one(std::uint16_t x) { return widened_f16(Halves{x})[0]; }
};

}  // namespace lindos::kernels::LINDOS_ISA
