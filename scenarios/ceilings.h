// SPDX-License-Identifier: Apache-2.0
// The two ceilings of one rank: its share of the device's best matrix rate, in the format of the weights, and of its read
// bandwidth. MFU, MBU and the ledger of predicted and measured runs refer to these and to nothing else, by the formulas
// below.
#pragma once

#include "scenarios/profile.h"
#include "scenarios/units.h"

namespace lindos {

struct Ceilings {
  FlopPerSecond peak{0};
  BytesPerSecond bandwidth{0};
};

// Of products whose weights have this format.
[[nodiscard]] inline FlopPerSecond matrix_rate_of(const Profile& profile, Dtype weights) {
  const auto own = profile.matrix_rates.find(weights);
  return own != profile.matrix_rates.end() ? own->second : profile.matrix_rate;
}

// `ranks_on_device`: ranks of the replica that share one device (CPU: all of them; GPU: 1).
[[nodiscard]] inline Ceilings rank_ceilings(const Profile& profile, Dtype weights, int ranks_on_device) {
  return {matrix_rate_of(profile, weights) / static_cast<double>(ranks_on_device),
          profile.read_bandwidth / static_cast<double>(ranks_on_device)};
}

// What a run did, all ranks together.
struct RunWork {
  double useful_share = 0.0;   // of its ledger
  Bytes cold{0};               // weights and KV read
  Seconds speed_of_light{0};   // Σ over ops of max(FLOP / peak, bytes / bandwidth)
  Seconds busy{0};             // Σ over ops of their time, communication left out
  BytesPerSecond bandwidth{0}; // Σ ceilings
  Seconds span{0};             // from the first arrival to the end
};

struct Utilisation {
  double mfu = 0.0;
  double mbu = 0.0;
  double roofline = 0.0;  // 0 for a run without ops
};

// The definitions mfu/1, mbu/1 and roofline_utilisation/1 of the registry, for serving. REQUIRES: span > 0.
[[nodiscard]] inline Utilisation utilisation(const RunWork& work) {
  return {work.useful_share, work.cold.value() / (work.bandwidth.value() * work.span.count()),
          work.busy > Seconds{0} ? work.speed_of_light / work.busy : 0.0};
}

}  // namespace lindos
