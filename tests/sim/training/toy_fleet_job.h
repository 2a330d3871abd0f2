// SPDX-License-Identifier: Apache-2.0
// Jobs on pool "p" of a toy fleet, for the event level: one group, all stages alike.
#pragma once

#include <cstdint>

#include "sim/training/training_job.h"

namespace lindos::sim::toy {

struct FleetJob {
  std::int64_t replicas = 1;
  int stages = 1;
  std::int64_t devices = 1;  // of a stage
  std::int64_t micro_batches = 1;
  int chunks = 1;  // a stage takes 1 s forward and 2 s backward, divided over its chunks
  double expert_seconds = 0.0;  // of each pass, exposed
  double message = 0.0;         // bytes per rank
  double expert_message = 0.0;
  double reduce = 0.0;
  double gather = 0.0;
  double exchange = 0.0;  // priced seconds
  double window = 0.0;
  double wire = 10e9;  // bytes/s of one rank's path to the next stage, start-up 0
};

inline TrainingJob fleet_job(const FleetJob& what) {
  GroupJob group;
  group.name = "toy";
  group.pool = "p";
  group.device = "p-gpu";
  group.replicas = what.replicas;
  group.micro_batches = what.micro_batches;
  group.virtual_stages = what.chunks;
  for (int s = 0; s < what.stages; ++s) {
    StageJob stage;
    stage.pool = "p";
    stage.devices = what.devices;
    stage.peak = FlopPerSecond(1e12 * static_cast<double>(what.devices));
    for (int c = 0; c < what.chunks; ++c) {
      ChunkWork work;
      work.forward.add(Cause::kUseful, Seconds(1.0 / what.chunks - what.expert_seconds));
      work.backward.add(Cause::kUseful, Seconds(2.0 / what.chunks - what.expert_seconds));
      work.forward.add(Cause::kExposedExpert, Seconds(what.expert_seconds));
      work.backward.add(Cause::kExposedExpert, Seconds(what.expert_seconds));
      work.forward_message = work.backward_message = Bytes(what.message);
      work.expert_message = Bytes(what.expert_message);
      stage.chunks.push_back(work);
    }
    stage.next.bandwidth = BytesPerSecond(what.wire);
    stage.exchange.reduce = Bytes(what.reduce);
    stage.exchange.gather = Bytes(what.gather);
    stage.exchange.reduce_time = Seconds(what.exchange);
    stage.exchange.hidden_window = Seconds(what.window);
    group.stages.push_back(stage);
  }
  TrainingJob job;
  job.ranks_in_exchange = what.replicas;
  job.groups.push_back(group);
  return job;
}

}  // namespace lindos::sim::toy
