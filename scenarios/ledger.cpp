// SPDX-License-Identifier: Apache-2.0
#include "scenarios/ledger.h"

#include <algorithm>
#include <string>

#include "scenarios/error.h"
#include "scenarios/timeline.h"

namespace lindos {
namespace {

struct CauseText {
  std::string_view name;
  std::string_view label;
  std::string_view sentence;
};

constexpr std::array<CauseText, kCauseCount> kCauses = {{
    {"useful", "useful FLOP",
     "Matrix work of the model at the device's peak; its share is the MFU."},
    {"memory_bound", "waiting for memory",
     "The operator moves more bytes than its FLOP can hide at the memory's bandwidth."},
    {"kernel_inefficiency", "kernel inefficiency",
     "The operator ran longer than both its FLOP and its bytes need."},
    {"recompute", "recompute", "Work done again to save memory, or after a preemption."},
    {"padding", "padding", "Work on rows or columns that hold no token."},
    {"exposed_tensor", "exposed tensor communication",
     "All-reduce or gather inside a stage that no computation hides."},
    {"exposed_pipeline", "exposed pipeline communication",
     "Sending activations between stages that no computation hides."},
    {"exposed_expert", "exposed expert communication",
     "Dispatch or combine of tokens to experts that no computation hides."},
    {"exposed_context", "exposed context communication",
     "Exchange of keys and values along the sequence that no computation hides."},
    {"exposed_data", "exposed data communication",
     "Exchange of gradients or parameters between replicas that no computation hides."},
    {"pipeline_bubble", "pipeline bubble",
     "The stage waits because the pipeline fills, drains or is not balanced."},
    {"straggler_mix", "straggler wait (device mix)",
     "Waiting for a device of a slower type, or for one with too large a share."},
    {"straggler_jitter", "straggler wait (jitter, fail-slow)",
     "Waiting for a device of the same type that is slower now."},
    {"transfer", "KV or activation transfer",
     "Moving cache or activations between devices or to the host, not hidden."},
    {"checkpoint_io", "checkpoint and I/O", "Reading or writing weights, checkpoints or data."},
    {"lost_work", "lost work", "Work that a failure made void."},
    {"restart", "restart", "From the detection of a failure until work goes on."},
    {"power_cap", "power cap", "Lower clocks because a device, rack or site limit was reached."},
    {"thermal", "thermal limit", "Lower clocks because a device was too hot."},
    {"host_overhead", "host overhead",
     "Scheduling, sampling and launch gaps while work was queued."},
    {"no_work", "no work queued", "The device was ready and no request was waiting."},
    {"spare", "spare", "Held ready to replace a failing device."},
    {"not_allocated", "not allocated", "In the fleet, but no plan uses it."},
}};

constexpr std::size_t index_of(Cause cause) { return static_cast<std::size_t>(cause); }

}  // namespace

std::string_view name_of(Cause cause) { return kCauses[index_of(cause)].name; }
std::string_view label_of(Cause cause) { return kCauses[index_of(cause)].label; }
std::string_view sentence_of(Cause cause) { return kCauses[index_of(cause)].sentence; }

std::optional<Cause> find_cause(std::string_view name) {
  for (std::size_t i = 0; i < kCauseCount; ++i) {
    if (kCauses[i].name == name) return static_cast<Cause>(i);
  }
  return std::nullopt;
}

void Ledger::book(Cause cause, Seconds seconds, FlopPerSecond peak) {
  LINDOS_ASSERT(seconds.count() >= 0.0, "a negative time cannot be booked");
  LINDOS_ASSERT(peak.value() > 0.0, "time is weighted by a positive peak");
  flop_[index_of(cause)] += (peak * seconds).value();
}

void Ledger::book_kernel(Seconds t, Flop flop, Bytes bytes, FlopPerSecond peak,
                         BytesPerSecond bandwidth) {
  const Seconds useful = std::min(t, flop / peak);
  const Seconds memory = std::min(t - useful, std::max(Seconds{0}, bytes / bandwidth - useful));
  book(Cause::kUseful, useful, peak);
  book(Cause::kMemoryBound, memory, peak);
  // Subtracting twice may leave a negative rounding residue.
  book(Cause::kKernelInefficiency, std::max(Seconds{0}, t - useful - memory), peak);
}

void Ledger::merge(const Ledger& other, double times) {
  for (std::size_t i = 0; i < kCauseCount; ++i) flop_[i] += other.flop_[i] * times;
}

double Ledger::capacity_flop() const {
  double sum = 0.0;
  for (const double amount : flop_) sum += amount;
  return sum;
}

double Ledger::share(Cause cause) const {
  const double capacity = capacity_flop();
  return capacity > 0.0 ? amount(cause) / capacity : 0.0;
}

void Ledger::close(double capacity_flop, Cause cause) {
  // Rounding of many bookings stays far below this; a step booked twice lies far above it.
  constexpr double kTolerance = 1e-6;
  const double booked = this->capacity_flop();
  if (booked > capacity_flop * (1.0 + kTolerance)) {
    throw Error(ErrorKind::kEnvironment, "ledger",
                "booked " + std::to_string(booked / capacity_flop) +
                    " times the capacity: some device time was booked twice");
  }
  flop_[index_of(cause)] += std::max(0.0, capacity_flop - booked);
}

std::vector<LedgerEntry> ledger_entries(const std::vector<Ledger>& draws) {
  LINDOS_ASSERT(!draws.empty(), "entries need at least one ledger");
  std::vector<LedgerEntry> entries;
  for (std::size_t i = 0; i < kCauseCount; ++i) {
    const auto cause = static_cast<Cause>(i);
    std::vector<double> shares;
    shares.reserve(draws.size());
    double sum = 0.0;
    for (const Ledger& draw : draws) {
      shares.push_back(draw.share(cause));
      sum += shares.back();
    }
    if (sum == 0.0 && cause != Cause::kUseful) continue;
    entries.push_back({cause, sum / static_cast<double>(draws.size()), quantile(shares, 0.1),
                       quantile(shares, 0.9)});
  }
  return entries;
}

std::vector<LedgerEntry> ledger_entries(const Ledger& ledger) {
  return ledger_entries(std::vector<Ledger>{ledger});
}

}  // namespace lindos
