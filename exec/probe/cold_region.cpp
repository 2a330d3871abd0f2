// SPDX-License-Identifier: Apache-2.0
#include "exec/probe/cold_region.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "kernels/bf16.h"
#include "kernels/f16.h"

namespace lindos::exec {

namespace {

constexpr std::size_t kLine = 64;

std::size_t rounded(std::size_t bytes) { return (bytes + kLine - 1) / kLine * kLine; }

}  // namespace

std::size_t cold_bytes() {
  const long l3 = ::sysconf(_SC_LEVEL3_CACHE_SIZE);
  constexpr std::size_t kFloor = std::size_t{96} << 20;
  return std::max(kFloor, 3 * static_cast<std::size_t>(std::max(0L, l3)));
}

ColdRegion::ColdRegion(kernels::WeightType type) : type_(type) { fill(cold_bytes()); }

void ColdRegion::fill(std::size_t bytes) {
  buffer_ = AlignedBuffer();
  buffer_ = AlignedBuffer(rounded(bytes));
  // Numbers between -0.5 and 0.5 from a multiplicative sequence: no zeros, no denormals, no pattern that a
  // prefetcher or the clock could profit from.
  std::uint32_t state = 2463534242U;
  const std::size_t count = buffer_.bytes() / sizeof(float);
  float* values = buffer_.floats();
  for (std::size_t i = 0; i < count; ++i) {
    state = state * 1664525U + 1013904223U;
    const float value = static_cast<float>(state >> 8U) / 16777216.0F - 0.5F;
    if (type_ == kernels::WeightType::kF32) {
      values[i] = value;
    } else {
      const std::uint16_t half = type_ == kernels::WeightType::kBf16 ? kernels::to_bf16(value) : kernels::to_f16(value);
      const std::uint16_t pair[2] = {half, half};
      std::memcpy(&values[i], pair, sizeof(pair));
    }
  }
}

void ColdRegion::grow(int ranks, std::size_t bytes) {
  const std::size_t needed = rounded(bytes) * static_cast<std::size_t>(ranks);
  if (needed > buffer_.bytes()) fill(needed);
}

std::byte* ColdRegion::at(int rank, int ranks, std::int64_t visit, std::size_t bytes) const {
  const std::size_t part = buffer_.bytes() / static_cast<std::size_t>(ranks) / kLine * kLine;
  const std::size_t places = std::max<std::size_t>(1, part / rounded(bytes));
  const std::size_t place = static_cast<std::size_t>(visit) % places;
  return static_cast<std::byte*>(buffer_.data()) + part * static_cast<std::size_t>(rank) + place * rounded(bytes);
}

}  // namespace lindos::exec
