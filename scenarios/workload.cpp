// SPDX-License-Identifier: Apache-2.0
#include "scenarios/workload.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "scenarios/error.h"
#include "scenarios/exponential_draw.h"
#include "scenarios/philox.h"

namespace lindos {
namespace {

enum class Draw : std::uint32_t { kGap = 0, kLengths = 1 };

std::uint32_t low_word(std::uint64_t value) { return static_cast<std::uint32_t>(value); }
std::uint32_t high_word(std::uint64_t value) { return static_cast<std::uint32_t>(value >> 32U); }

// Two independent 64-bit words per (seed, request, purpose).
std::array<std::uint64_t, 2> draw(std::uint64_t seed, std::uint64_t request, Draw purpose) {
  const PhiloxCounter words =
      philox({low_word(request), high_word(request), static_cast<std::uint32_t>(purpose), 0},
             {low_word(seed), high_word(seed)});
  const auto join = [](std::uint32_t low, std::uint32_t high) {
    return static_cast<std::uint64_t>(high) << 32U | low;
  };
  return {join(words[0], words[1]), join(words[2], words[3])};
}

// Uniform integer in [range.low, range.high]; exact IEEE arithmetic, so the same everywhere.
std::int64_t uniform(const LengthRange& range, std::uint64_t word) {
  const double u = static_cast<double>(word >> 11U) * 0x1p-53;
  const auto count = static_cast<double>(range.high - range.low + 1);
  return std::min(range.high, range.low + static_cast<std::int64_t>(u * count));
}

std::int64_t whole_microseconds(double microseconds) {
  // 2^53 us are 285 years; beyond it a double no longer holds every microsecond.
  if (!(microseconds < 0x1p53)) {
    throw Error(ErrorKind::kInput, "workload",
                "at this rate the last request arrives after centuries");
  }
  return std::llround(microseconds);
}

}  // namespace

const char* name_of(Recompute recompute) {
  switch (recompute) {
    case Recompute::kNone: return "none";
    case Recompute::kSelective: return "selective";
    case Recompute::kFull: return "full";
  }
  return "";
}

std::vector<RequestSpec> generate_requests(const ServingWorkload& workload, std::uint64_t seed) {
  LINDOS_ASSERT(workload.requests >= 0, "a count of requests");
  LINDOS_ASSERT(workload.prompt.low <= workload.prompt.high, "an ordered range of prompt lengths");
  LINDOS_ASSERT(workload.output.low <= workload.output.high, "an ordered range of output lengths");
  const bool closed_loop = workload.arrival == Arrival::kClosedLoop;
  LINDOS_ASSERT(closed_loop || workload.arrival == Arrival::kTogether || workload.rate.value() > 0.0,
                "spaced arrivals need a rate");
  LINDOS_ASSERT(!closed_loop || workload.concurrency > 0, "a closed loop needs clients");
  const double mean_gap_us = 1e6 / workload.rate.value();
  std::vector<RequestSpec> requests;
  requests.reserve(static_cast<std::size_t>(workload.requests));
  std::int64_t arrival_us = 0;
  for (std::uint64_t id = 0; id < static_cast<std::uint64_t>(workload.requests); ++id) {
    if (id > 0 && workload.arrival == Arrival::kPoisson) {
      const double gap = exponential_draw(high_word(draw(seed, id, Draw::kGap)[0]));
      const std::int64_t gap_us = whole_microseconds(gap * mean_gap_us);
      arrival_us =
          whole_microseconds(static_cast<double>(arrival_us) + static_cast<double>(gap_us));
    } else if (workload.arrival == Arrival::kUniform) {
      // From the index, not by adding gaps: rounding does not accumulate.
      arrival_us = whole_microseconds(static_cast<double>(id) * mean_gap_us);
    }
    const auto lengths = draw(seed, id, Draw::kLengths);
    requests.push_back({id, Seconds{static_cast<double>(arrival_us) / 1e6},
                        uniform(workload.prompt, lengths[0]),
                        uniform(workload.output, lengths[1]),
                        closed_loop && static_cast<std::int64_t>(id) >= workload.concurrency});
  }
  return requests;
}

}  // namespace lindos
