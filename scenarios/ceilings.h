// SPDX-License-Identifier: Apache-2.0
// The two ceilings of one rank: its share of the device's best matrix rate and read bandwidth. MFU, MBU and
// the ledger of predicted and measured runs refer to these and to nothing else.
#pragma once

#include "scenarios/profile.h"
#include "scenarios/units.h"

namespace lindos {

struct Ceilings {
  FlopPerSecond peak{0};
  BytesPerSecond bandwidth{0};
};

// `ranks_on_device`: ranks of the replica that share one device (CPU: all of them; GPU: 1).
[[nodiscard]] inline Ceilings rank_ceilings(const Profile& profile, int ranks_on_device) {
  return {profile.matrix_rate / static_cast<double>(ranks_on_device),
          profile.read_bandwidth / static_cast<double>(ranks_on_device)};
}

}  // namespace lindos
