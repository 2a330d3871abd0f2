// SPDX-License-Identifier: Apache-2.0
// Training jobs small enough to time by hand.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/training/training_job.h"

namespace lindos::sim::toy {

// Every stage takes 1 s forward (0.8 useful, 0.1 inefficiency, 0.1 exposed tensor) and 2 s backward per
// micro-batch, divided over its chunks; one device of 1 TFLOP/s per stage.
inline GroupJob even_group(int stages, std::int64_t micro_batches, int chunks = 1, double hop = 0.0,
                           std::int64_t replicas = 1, double speed = 1.0) {
  GroupJob group;
  group.name = "even";
  group.pool = "pool";
  group.device = "toy-gpu";
  group.replicas = replicas;
  group.micro_batches = micro_batches;
  group.virtual_stages = chunks;
  for (int s = 0; s < stages; ++s) {
    StageJob stage;
    stage.peak = FlopPerSecond(1e12 * speed);
    for (int c = 0; c < chunks; ++c) {
      ChunkWork work;
      const double unit = 1.0 / chunks / speed;
      work.forward.add(Cause::kUseful, Seconds(0.8 * unit));
      work.forward.add(Cause::kKernelInefficiency, Seconds(0.1 * unit));
      work.forward.add(Cause::kExposedTensor, Seconds(0.1 * unit));
      work.backward.add(work.forward, 2.0);
      work.forward_message = Bytes(1.0);
      work.backward_message = Bytes(1.0);
      stage.chunks.push_back(work);
    }
    // A message takes `hop` seconds: one byte at 1 / hop bytes per second.
    stage.next.bandwidth = BytesPerSecond(hop > 0.0 ? 1.0 / hop : 1e30);
    group.stages.push_back(stage);
  }
  return group;
}

inline TrainingJob job_of(std::vector<GroupJob> groups) {
  TrainingJob job;
  job.groups = std::move(groups);
  for (const GroupJob& group : job.groups) job.ranks_in_exchange += group.replicas;
  --job.ranks_in_exchange;
  return job;
}

}  // namespace lindos::sim::toy
