// SPDX-License-Identifier: Apache-2.0
// One row of each byte-bound op. Sums run over 16 virtual lanes and a fixed tree, so a row's bits are the
// same for every vector width with fused multiply-add.
#pragma once

#include "kernels/cpu/lanes.h"

namespace lindos::kernels::LINDOS_ISA {

inline void rmsnorm_row(const float* x, const float* weight, double eps, std::int64_t h, float* y) {
  Sixteen squares = splat16(0.0F);
  std::int64_t i = 0;
  for (; i + 16 <= h; i += 16) {
    const Sixteen v = load16(x + i);
#pragma GCC unroll 4
    for (int j = 0; j < kVecs; ++j) squares.v[j] = fma(v.v[j], v.v[j], squares.v[j]);
  }
  double sum = static_cast<double>(sum16(squares));
  for (; i < h; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  const auto inverse = static_cast<float>(1.0 / __builtin_sqrt(sum / static_cast<double>(h) + eps));
  for (i = 0; i + kLanes <= h; i += kLanes) store(y + i, load(x + i) * splat(inverse) * load(weight + i));
  for (; i < h; ++i) y[i] = x[i] * inverse * weight[i];
}

// (a, b) -> (a cos - b sin, b cos + a sin). Products are rounded, not fused: the tail then matches the body.
inline void rope_head(float* head, std::int64_t half, const float* cos, const float* sin) {
  std::int64_t i = 0;
  for (; i + kLanes <= half; i += kLanes) {
    const Vec a = load(head + i);
    const Vec b = load(head + half + i);
    const Vec c = load(cos + i);
    const Vec s = load(sin + i);
    store(head + i, a * c - b * s);
    store(head + half + i, b * c + a * s);
  }
  for (; i < half; ++i) {
    const float a = head[i];
    const float b = head[half + i];
    head[i] = a * cos[i] - b * sin[i];
    head[half + i] = b * cos[i] + a * sin[i];
  }
}

LINDOS_INLINE Vec silu_product(Vec gate, Vec up) {
  return gate / (splat(1.0F) + exponential(splat(0.0F) - gate)) * up;
}

inline void swiglu_row(const float* gate, const float* up, std::int64_t f, float* out) {
  std::int64_t i = 0;
  for (; i + kLanes <= f; i += kLanes) store(out + i, silu_product(load(gate + i), load(up + i)));
  if (i == f) return;
  float gate_lane[kLanes] = {};
  float up_lane[kLanes] = {};
  for (std::int64_t j = i; j < f; ++j) {
    gate_lane[j - i] = gate[j];
    up_lane[j - i] = up[j];
  }
  store(gate_lane, silu_product(load(gate_lane), load(up_lane)));
  for (std::int64_t j = i; j < f; ++j) out[j] = gate_lane[j - i];
}

inline void add_row(float* x, const float* y, const float* bias, std::int64_t h) {
  for (std::int64_t i = 0; i < h; ++i) {
    float sum = x[i];
    if (y != nullptr) sum += y[i];
    if (bias != nullptr) sum += bias[i];
    x[i] = sum;
  }
}

inline void scaled_add_row(float* x, const float* y, float scale, std::int64_t h) {
  std::int64_t i = 0;
  for (; i + kLanes <= h; i += kLanes) store(x + i, fma(splat(scale), load(y + i), load(x + i)));
  if (i == h) return;
  float x_lane[kLanes] = {};
  float y_lane[kLanes] = {};
  for (std::int64_t j = i; j < h; ++j) {
    x_lane[j - i] = x[j];
    y_lane[j - i] = y[j];
  }
  store(x_lane, fma(splat(scale), load(y_lane), load(x_lane)));
  for (std::int64_t j = i; j < h; ++j) x[j] = x_lane[j - i];
}

inline float largest_of(const float* x, std::int64_t n) {
  Sixteen best = splat16(-__builtin_inff());
  std::int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const Sixteen v = load16(x + i);
#pragma GCC unroll 4
    for (int j = 0; j < kVecs; ++j) best.v[j] = max(v.v[j], best.v[j]);
  }
  float m = max16(best);
  for (; i < n; ++i) m = x[i] > m ? x[i] : m;
  return m;
}

// Four streams, each a quarter: one stream alone leaves a core's line buffers idle at every page boundary.
inline float read_sum_of(const float* x, std::int64_t n) {
  Sixteen sum[4] = {splat16(0.0F), splat16(0.0F), splat16(0.0F), splat16(0.0F)};
  const std::int64_t quarter = n / 4;
  for (std::int64_t i = 0; i < quarter; i += 16) {
#pragma GCC unroll 4
    for (int s = 0; s < 4; ++s) {
      const float* at = x + s * quarter + i;
      __builtin_prefetch(reinterpret_cast<const char*>(at) + 1024, 0, 3);
      const Sixteen v = load16(at);
#pragma GCC unroll 4
      for (int j = 0; j < kVecs; ++j) sum[s].v[j] += v.v[j];
    }
  }
  return sum16(sum[0]) + sum16(sum[1]) + sum16(sum[2]) + sum16(sum[3]);
}

}  // namespace lindos::kernels::LINDOS_ISA
