// SPDX-License-Identifier: Apache-2.0
// Internal to the generator of requests: when the next one arrives, and how long it is.
#pragma once

#include <cstdint>
#include <memory>

#include "scenarios/workload.h"

namespace lindos {

class ArrivalProcess {
 public:
  virtual ~ArrivalProcess() = default;
  // Microseconds since the beginning; calls are made for id = 0, 1, 2, …
  [[nodiscard]] virtual std::int64_t arrival_us(std::uint64_t id) = 0;
};

[[nodiscard]] std::unique_ptr<ArrivalProcess> arrival_process(const ServingWorkload& workload, std::uint64_t seed);

// The draws of one request: independent 64-bit words per (seed, request, purpose, turn).
enum class Draw : std::uint32_t { kGap = 0, kLengths = 1, kPrefixGroup = 2, kTenant = 3, kClientGap = 4, kClientLengths = 5 };
struct DrawnWords {
  std::uint64_t first = 0, second = 0;
};
[[nodiscard]] DrawnWords draw_words(std::uint64_t seed, std::uint64_t request, Draw purpose, std::uint32_t turn = 0);

// In [0, 1), of every 2^-53.
[[nodiscard]] double unit_draw(std::uint64_t word);

// Gaps of mean 1 with the shape of their distribution, as pure functions of the arguments. REQUIRES: kLeastShape <= shape
// <= kMostShape.
inline constexpr double kLeastShape = 0.01;
inline constexpr double kMostShape = 1e4;
[[nodiscard]] double gamma_gap(double shape, std::uint64_t seed, std::uint64_t request, Draw purpose);
[[nodiscard]] double weibull_gap(double shape, std::uint64_t seed, std::uint64_t request, Draw purpose);

// `word` is used up by the uniform kinds alone, so that they do not depend on the others.
[[nodiscard]] std::int64_t draw_length(const LengthRange& range, std::uint64_t word);

}  // namespace lindos
