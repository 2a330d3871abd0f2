// SPDX-License-Identifier: Apache-2.0
// Board power while one kernel runs over and over, by the samples of a profile that hold watts. Between shapes: the
// nearest samples in log2 of the shape, at most four, weighted by 1/d² (modelling handbook §1.2, sparse fallback), of
// the same number format where it has any. Beyond the samples the nearest answer: which are left out as too short to
// tell is the distiller's to say (docs/operators.md).
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <vector>

#include "scenarios/profile.h"
#include "sim/attention_table.h"

namespace lindos::sim {

class KernelPower {
 public:
  explicit KernelPower(const Profile& profile);

  // Nothing without a sample of such a kernel. REQUIRES: dimensions > 0.
  [[nodiscard]] std::optional<Watts> gemm(double m, double n, double k, Dtype dtype) const;
  [[nodiscard]] std::optional<Watts> decode(const AttentionShape& shape, Dtype dtype) const;
  [[nodiscard]] std::optional<Watts> prefill(const AttentionShape& shape, Dtype dtype) const;

 private:
  using Place = std::array<double, 4>;  // log2 of the dimensions
  struct Point {
    Place place{};
    Watts power{0};
  };
  struct Kernel {
    Dtype dtype = Dtype::kBf16;
    std::vector<Point> points;
  };
  using Kernels = std::vector<Kernel>;
  static void add(Kernels& kernels, Dtype dtype, const Place& place, Watts power);
  [[nodiscard]] static std::optional<Watts> near(const Kernels& kernels, Dtype dtype, const Place& place);

  Kernels gemm_, decode_, prefill_;
};

}  // namespace lindos::sim
