// SPDX-License-Identifier: Apache-2.0
// A batch of like slices, as the probes of CPU and GPU time it.
#pragma once

#include <cstdint>

namespace lindos::exec {

struct StageShape {
  std::int64_t sequences = 1;
  std::int64_t tokens = 1;    // new, per slice
  std::int64_t context = 0;   // cached before them
  bool operator==(const StageShape&) const = default;
};

}  // namespace lindos::exec
