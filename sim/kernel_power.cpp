// SPDX-License-Identifier: Apache-2.0
#include "sim/kernel_power.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace lindos::sim {

namespace {

constexpr std::size_t kNeighbours = 4;
constexpr double kSameShape = 1e-9;

std::array<double, 4> place_of(const AttentionShape& shape) {
  return {std::log2(shape.slices), std::log2(shape.tokens + shape.context),
          std::log2(static_cast<double>(shape.q_heads)), std::log2(static_cast<double>(shape.kv_heads))};
}

}  // namespace

KernelPower::KernelPower(const Profile& profile) {
  for (const GemmSample& s : profile.gemm) {
    if (s.power.value() <= 0.0) continue;
    add(gemm_, s.dtype,
        {std::log2(static_cast<double>(s.m)), std::log2(static_cast<double>(s.n)), std::log2(static_cast<double>(s.k))},
        s.power);
  }
  for (const AttentionSample& s : profile.attention) {
    if (s.power.value() <= 0.0) continue;
    const AttentionShape shape{static_cast<double>(s.sequences), static_cast<double>(s.tokens),
                               static_cast<double>(s.context), s.q_heads, s.kv_heads, s.head_dim};
    add(s.tokens == 1 && s.context > 0 ? decode_ : prefill_, s.dtype, place_of(shape), s.power);
  }
}

void KernelPower::add(Kernels& kernels, Dtype dtype, const Place& place, Watts power) {
  auto kernel = std::find_if(kernels.begin(), kernels.end(), [&](const Kernel& k) { return k.dtype == dtype; });
  if (kernel == kernels.end()) kernel = kernels.insert(kernel, {dtype, {}});
  kernel->points.push_back({place, power});
}

std::optional<Watts> KernelPower::near(const Kernels& kernels, Dtype dtype, const Place& place) {
  if (kernels.empty()) return std::nullopt;
  const auto own = std::find_if(kernels.begin(), kernels.end(), [&](const Kernel& k) { return k.dtype == dtype; });
  struct Near {
    double squared = std::numeric_limits<double>::infinity();
    Watts power{0};
  };
  std::array<Near, kNeighbours> nearest;  // ascending by distance
  for (const Point& point : (own == kernels.end() ? kernels.front() : *own).points) {
    Near candidate{0.0, point.power};
    for (std::size_t i = 0; i < place.size(); ++i)
      candidate.squared += (point.place[i] - place[i]) * (point.place[i] - place[i]);
    for (Near& slot : nearest) {
      if (candidate.squared < slot.squared) std::swap(candidate, slot);
    }
  }
  if (nearest[0].squared < kSameShape) return nearest[0].power;
  Watts sum{0};
  double weights = 0.0;
  for (const Near& slot : nearest) {
    const double weight = 1.0 / slot.squared;  // 0 for an empty slot
    sum += slot.power * weight;
    weights += weight;
  }
  return sum / weights;
}

std::optional<Watts> KernelPower::gemm(double m, double n, double k, Dtype dtype) const {
  if (gemm_.empty()) return std::nullopt;
  return near(gemm_, dtype, {std::log2(m), std::log2(n), std::log2(k)});
}

std::optional<Watts> KernelPower::decode(const AttentionShape& shape, Dtype dtype) const {
  if (decode_.empty()) return std::nullopt;
  return near(decode_, dtype, place_of(shape));
}

std::optional<Watts> KernelPower::prefill(const AttentionShape& shape, Dtype dtype) const {
  if (prefill_.empty()) return std::nullopt;
  return near(prefill_, dtype, place_of(shape));
}

}  // namespace lindos::sim
