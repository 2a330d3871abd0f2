// SPDX-License-Identifier: Apache-2.0
// The one ledger: every device-second between start and end of a run is booked to exactly one cause,
// weighted by the device's peak. Shares sum to 1 to 1e-9, predicted and measured alike. MFU = useful share.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "scenarios/ops.h"
#include "scenarios/units.h"

namespace lindos {

// Persistent: the names are stored. Append only.
enum class Cause : int {
  kUseful = 0,
  kMemoryBound,
  kKernelInefficiency,
  kRecompute,
  kPadding,
  kExposedTensor,
  kExposedPipeline,
  kExposedExpert,
  kExposedContext,
  kExposedData,
  kPipelineBubble,
  kStragglerMix,
  kStragglerJitter,
  kTransfer,          // KV or activation transfer
  kCheckpointIo,
  kLostWork,
  kRestart,
  kPowerCap,
  kThermal,
  kHostOverhead,      // scheduling, sampling, launch gaps while work was queued
  kNoWork,
  kSpare,
  kNotAllocated,
};
inline constexpr std::size_t kCauseCount = 23;

// Name in JSON and SQL ("useful", "memory_bound", …) and for people ("useful FLOP", "waiting for memory").
[[nodiscard]] std::string_view name_of(Cause cause);
[[nodiscard]] std::string_view label_of(Cause cause);
[[nodiscard]] std::string_view sentence_of(Cause cause);
[[nodiscard]] std::optional<Cause> find_cause(std::string_view name);

// Accumulates peak-weighted device-seconds. All ranks of a run book into one ledger.
class Ledger {
 public:
  // REQUIRES: seconds >= 0, peak > 0.
  void book(Cause cause, Seconds seconds, FlopPerSecond peak);
  // Splits a measured or modelled kernel time t into useful, memory-bound and inefficiency:
  // useful = min(t, FLOP/peak), memory = min(t − useful, max(0, bytes/bandwidth − useful)), rest = inefficiency.
  void book_kernel(Seconds t, Flop flop, Bytes bytes, FlopPerSecond peak, BytesPerSecond bandwidth);
  // `other` counts `times` over.
  void merge(const Ledger& other, double times = 1.0);

  [[nodiscard]] double capacity_flop() const;          // Σ of all entries
  [[nodiscard]] double share(Cause cause) const;       // 0 for an empty ledger
  [[nodiscard]] double amount(Cause cause) const { return flop_[static_cast<std::size_t>(cause)]; }

  // Books what is missing to reach `capacity` under `cause`. Throws Error{kEnvironment} if the ledger
  // already holds more than capacity × (1 + 1e-6): time was booked twice.
  void close(double capacity_flop, Cause cause);

 private:
  std::array<double, kCauseCount> flop_{};             // seconds × peak
};

struct LedgerEntry {
  Cause cause = Cause::kUseful;
  double share = 0.0;
  double p10 = 0.0;
  double p90 = 0.0;
  bool operator==(const LedgerEntry&) const = default;
};

// Entries of several draws of one run (seeds or repeats): share = mean, p10/p90 = quantiles over the draws, so
// that the shares still sum to 1. In the order of Cause; causes that no draw booked are left out, except
// kUseful. REQUIRES: at least one draw, none of them empty.
[[nodiscard]] std::vector<LedgerEntry> ledger_entries(const std::vector<Ledger>& draws);
// The same for one ledger: p10 = p90 = share.
[[nodiscard]] std::vector<LedgerEntry> ledger_entries(const Ledger& ledger);

}  // namespace lindos
