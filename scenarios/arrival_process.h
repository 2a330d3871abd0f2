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
enum class Draw : std::uint32_t { kGap = 0, kLengths = 1, kPrefixGroup = 2 };
struct DrawnWords {
  std::uint64_t first = 0, second = 0;
};
[[nodiscard]] DrawnWords draw_words(std::uint64_t seed, std::uint64_t request, Draw purpose, std::uint32_t turn = 0);

// `word` is used up by the uniform kinds alone, so that they do not depend on the others.
[[nodiscard]] std::int64_t draw_length(const LengthRange& range, std::uint64_t word);

}  // namespace lindos
