// SPDX-License-Identifier: Apache-2.0
// Wall time per operator family of one rank, cheap enough to stay on (two clock reads per kernel).
// Families are those that the simulator prices apart and the ledger compares.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "scenarios/ops.h"
#include "scenarios/units.h"

namespace lindos::exec {

enum class OpFamily : std::size_t {
  kEmbedding,
  kElementwise,    // norms, rotary, activation, residual
  kQkv,
  kAttention,      // with the KV write
  kO,
  kRoute,          // router scores, choice of experts, rows in their order
  kGateUp,         // of the FFN, of routed and of shared experts
  kDown,           // with the weighted sum of the experts' rows
  kLmHead,
  kSample,
  kCommunication,
  kKvCopy,         // KV blocks from and to host memory
};
inline constexpr std::size_t kOpFamilies = 12;
[[nodiscard]] std::string_view name_of(OpFamily family);
// The family under which the engine times an op of the shared list.
[[nodiscard]] OpFamily family_of(const Op& op);

class OpTimer {
 public:
  using Clock = std::chrono::steady_clock;
  // Books the time since the last mark (or start) to `family`.
  void start() { last_ = Clock::now(); }
  void mark(OpFamily family) {
    const Clock::time_point now = Clock::now();
    total_[static_cast<std::size_t>(family)] += now - last_;
    last_ = now;
  }
  // Time that something else measured (a device's events).
  void add(OpFamily family, Seconds time) { total_[static_cast<std::size_t>(family)] += time; }
  [[nodiscard]] Seconds total(OpFamily family) const { return total_[static_cast<std::size_t>(family)]; }
  [[nodiscard]] Seconds total() const {
    Seconds sum{0};
    for (Seconds s : total_) sum += s;
    return sum;
  }
  void reset() { total_ = {}; }

 private:
  Clock::time_point last_{};
  std::array<Seconds, kOpFamilies> total_{};
};

}  // namespace lindos::exec
