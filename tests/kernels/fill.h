// SPDX-License-Identifier: Apache-2.0
// Test data: seeded random floats, rows poisoned with NaN between guard cells, relative distance.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "kernels/bf16.h"
#include "kernels/f16.h"
#include "kernels/gemm.h"

namespace lindos::kernels::test {

inline std::vector<float> normal_floats(std::int64_t n, std::uint32_t seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<float> v(static_cast<std::size_t>(n));
  for (float& x : v) x = normal(generator);
  return v;
}

// As a matrix or a page of that type holds them.
inline std::vector<float> as_stored(WeightType type, std::vector<float> values) {
  for (float& x : values) {
    if (type == WeightType::kBf16) x = from_bf16(to_bf16(x));
    if (type == WeightType::kF16) x = from_f16(to_f16(x));
  }
  return values;
}

// Output matrix [m, n] with stride n + kGap: outputs are NaN until written, gaps hold a value that must stay.
class Guarded {
 public:
  static constexpr std::int64_t kGap = 3;
  static constexpr float kGuard = 123456.75F;

  Guarded(std::int64_t m, std::int64_t n) : m_(m), n_(n) {
    cells_.assign(static_cast<std::size_t>(m * stride() + kGap), kGuard);
    for (std::int64_t i = 0; i < m; ++i) {
      for (std::int64_t j = 0; j < n; ++j) at(i, j) = std::numeric_limits<float>::quiet_NaN();
    }
  }
  [[nodiscard]] std::int64_t stride() const { return n_ + kGap; }
  [[nodiscard]] float* data() { return cells_.data() + kGap; }
  [[nodiscard]] float& at(std::int64_t i, std::int64_t j) {
    return cells_[static_cast<std::size_t>(kGap + i * stride() + j)];
  }
  // Every output written (and a number), nothing else touched.
  [[nodiscard]] bool intact() {
    for (std::int64_t i = 0; i < kGap; ++i) {
      if (cells_[static_cast<std::size_t>(i)] != kGuard) return false;
    }
    for (std::int64_t i = 0; i < m_; ++i) {
      for (std::int64_t j = 0; j < stride(); ++j) {
        if (j < n_ ? std::isnan(at(i, j)) : at(i, j) != kGuard) return false;
      }
    }
    return true;
  }
  [[nodiscard]] std::vector<std::uint32_t> bits() {
    std::vector<std::uint32_t> b;
    for (std::int64_t i = 0; i < m_; ++i) {
      for (std::int64_t j = 0; j < n_; ++j) b.push_back(std::bit_cast<std::uint32_t>(at(i, j)));
    }
    return b;
  }
  // ||out - expected|| / ||expected||, expected tight [m, n].
  [[nodiscard]] double distance(const std::vector<double>& expected) {
    double difference = 0.0;
    double norm = 0.0;
    for (std::int64_t i = 0; i < m_; ++i) {
      for (std::int64_t j = 0; j < n_; ++j) {
        const double e = expected[static_cast<std::size_t>(i * n_ + j)];
        const double d = static_cast<double>(at(i, j)) - e;
        difference += d * d;
        norm += e * e;
      }
    }
    return norm > 0.0 ? std::sqrt(difference / norm) : std::sqrt(difference);
  }

 private:
  std::int64_t m_, n_;
  std::vector<float> cells_;
};

}  // namespace lindos::kernels::test
