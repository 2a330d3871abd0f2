// SPDX-License-Identifier: Apache-2.0
// Deals a batch out over replicas exactly: which replicas are left out, and whether one takes fewer micro-batches,
// so that the sum is what was asked for.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace lindos::sim {

// Replicas that work alike.
struct ReplicaSet {
  std::int64_t replicas = 0;       // at most
  std::int64_t micro_batches = 0;  // each
  std::int64_t granule = 1;        // replicas come in multiples of it
  double cost = 1.0;               // of one replica; the dearest per micro-batch is left out first
};

struct DealtSet {
  std::size_t set = 0;             // index into what was asked
  std::int64_t replicas = 0;
  std::int64_t micro_batches = 0;
};

// Sets with replicas > 0; a set appears twice when one of its replicas takes fewer micro-batches than the others.
// Nothing when the sets cannot take the batch, or no whole granules add up to it.
[[nodiscard]] std::optional<std::vector<DealtSet>> deal_batch(const std::vector<ReplicaSet>& sets,
                                                              std::int64_t micro_batches);

}  // namespace lindos::sim
