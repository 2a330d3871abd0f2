// SPDX-License-Identifier: Apache-2.0
#include "scenarios/request_stream.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

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

class GeneratedStream final : public RequestStream {
 public:
  GeneratedStream(const ServingWorkload& workload, std::uint64_t seed)
      : workload_(workload),
        seed_(seed),
        mean_gap_us_(1e6 / workload.rate.value()),
        count_(workload.requests > 0 ? static_cast<std::uint64_t>(workload.requests)
                                     : std::numeric_limits<std::uint64_t>::max()),
        end_us_(workload.duration > Seconds{0} ? whole_microseconds(workload.duration.count() * 1e6)
                                               : std::numeric_limits<std::int64_t>::max()) {
    const bool closed_loop = workload.arrival == Arrival::kClosedLoop;
    LINDOS_ASSERT((workload.requests > 0) != (workload.duration > Seconds{0}), "a count or a duration");
    LINDOS_ASSERT(workload.prompt.low <= workload.prompt.high, "an ordered range of prompt lengths");
    LINDOS_ASSERT(workload.output.low <= workload.output.high, "an ordered range of output lengths");
    LINDOS_ASSERT(closed_loop || workload.arrival == Arrival::kTogether || workload.rate.value() > 0.0,
                  "spaced arrivals need a rate");
    LINDOS_ASSERT(!closed_loop || workload.concurrency > 0, "a closed loop needs clients");
    LINDOS_ASSERT(workload.requests > 0 || (!closed_loop && workload.arrival != Arrival::kTogether),
                  "only spaced arrivals fill a duration");
  }

  std::optional<RequestSpec> next() override {
    if (id_ == count_) return std::nullopt;
    if (id_ > 0 && workload_.arrival == Arrival::kPoisson) {
      const double gap = exponential_draw(high_word(draw(seed_, id_, Draw::kGap)[0]));
      const std::int64_t gap_us = whole_microseconds(gap * mean_gap_us_);
      arrival_us_ =
          whole_microseconds(static_cast<double>(arrival_us_) + static_cast<double>(gap_us));
    } else if (workload_.arrival == Arrival::kUniform) {
      // From the index, not by adding gaps: rounding does not accumulate.
      arrival_us_ = whole_microseconds(static_cast<double>(id_) * mean_gap_us_);
    }
    if (arrival_us_ >= end_us_) {
      count_ = id_;
      return std::nullopt;
    }
    const auto lengths = draw(seed_, id_, Draw::kLengths);
    const bool on_completion = workload_.arrival == Arrival::kClosedLoop &&
                               static_cast<std::int64_t>(id_) >= workload_.concurrency;
    return RequestSpec{id_++, Seconds{static_cast<double>(arrival_us_) / 1e6},
                       uniform(workload_.prompt, lengths[0]), uniform(workload_.output, lengths[1]),
                       on_completion};
  }

 private:
  const ServingWorkload workload_;
  const std::uint64_t seed_;
  const double mean_gap_us_;
  std::uint64_t count_;        // requests in all; all there can be while a duration decides
  const std::int64_t end_us_;  // arrivals lie before it
  std::uint64_t id_ = 0;
  std::int64_t arrival_us_ = 0;
};

}  // namespace

std::unique_ptr<RequestStream> open_requests(const ServingWorkload& workload, std::uint64_t seed) {
  return std::make_unique<GeneratedStream>(workload, seed);
}

}  // namespace lindos
