// SPDX-License-Identifier: Apache-2.0
#include "sim/reliability/checkpoint.h"

#include <algorithm>
#include <cmath>

#include "scenarios/ops.h"

namespace lindos::sim {
namespace {

Seconds transfer_time(Bytes bytes, BytesPerSecond site, BytesPerSecond node, std::int64_t nodes) {
  if (site == BytesPerSecond{0}) return Seconds{0};
  if (node == BytesPerSecond{0}) return bytes / site;
  return bytes / std::min(site, node * static_cast<double>(nodes));
}

}  // namespace

Bytes checkpoint_bytes(const Model& model, Dtype weights) {
  constexpr double kOptimizerBytes = 3 * 4;  // master weight, first and second moment
  return Bytes(static_cast<double>(parameter_count(model)) * (bytes_of(weights) + kOptimizerBytes));
}

CheckpointCost checkpoint_cost(Bytes bytes, const CheckpointPolicy& policy, const Storage& storage,
                               std::int64_t nodes) {
  const Seconds write =
      transfer_time(bytes, storage.write_bandwidth, storage.node_bandwidth, nodes) +
      policy.save_overhead;
  CheckpointCost cost;
  cost.bytes = bytes;
  cost.blocking = policy.asynchronous ? policy.blocking : write;
  cost.commit_delay = policy.asynchronous ? write : Seconds{0};
  cost.read = transfer_time(bytes, storage.read_bandwidth, storage.node_bandwidth, nodes) +
              policy.load_overhead;
  return cost;
}

Seconds young_interval(Seconds blocking, Seconds mtbi) {
  return Seconds(std::sqrt(2.0 * blocking.count() * mtbi.count()));
}

Seconds daly_interval(Seconds blocking, Seconds mtbi) {
  if (blocking >= 2.0 * mtbi) return mtbi;
  const double ratio = blocking / (2.0 * mtbi);
  return young_interval(blocking, mtbi) * (1.0 + std::sqrt(ratio) / 3.0 + ratio / 9.0) - blocking;
}

}  // namespace lindos::sim
