// SPDX-License-Identifier: Apache-2.0
// What one checkpoint of a training job costs: bytes, how long the job stands still, how long until
// it can be restored from, how long reading it takes. Transfer time = bytes / min(site bandwidth,
// nodes × bandwidth of a node), plus the software's own time (measured saves of one 405B model: 173
// and 595 s, of which bytes are seconds). Also the classic intervals: J. W. Young, CACM 17(9),
// 1974; J. T. Daly, FGCS 22(3), 2006.
#pragma once

#include <cstdint>

#include "scenarios/checkpoint_policy.h"
#include "scenarios/dtype.h"
#include "scenarios/hardware.h"
#include "scenarios/model.h"
#include "scenarios/units.h"

namespace lindos::sim {

struct CheckpointCost {
  Bytes bytes{0};       // of the whole job
  Seconds blocking{0};  // per save, the job stands still
  Seconds commit_delay{
      0};           // from then until the checkpoint counts; 0 when the job waits for the write
  Seconds read{0};  // per restart; one copy is read and spread over the replicas by the fabric
  bool operator==(const CheckpointCost&) const = default;
};

// Weights as stored, and per parameter 12 bytes of optimizer state: a master weight and two moments
// of Adam in f32. 14 bytes per parameter for bf16. Independent of sharding, which decides who
// writes what.
[[nodiscard]] Bytes checkpoint_bytes(const Model& model, Dtype weights);

// `nodes` read and write. Without bandwidths in `storage` bytes take no time.
[[nodiscard]] CheckpointCost checkpoint_cost(Bytes bytes, const CheckpointPolicy& policy,
                                             const Storage& storage, std::int64_t nodes);

// Training time between two saves that wastes least, in first order: sqrt(2 δ M).
[[nodiscard]] Seconds young_interval(Seconds blocking, Seconds mtbi);
// Daly's higher-order form: sqrt(2 δ M) [1 + sqrt(δ/2M)/3 + (δ/2M)/9] − δ for δ < 2M, else M.
[[nodiscard]] Seconds daly_interval(Seconds blocking, Seconds mtbi);

}  // namespace lindos::sim
