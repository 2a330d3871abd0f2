// SPDX-License-Identifier: Apache-2.0
// One synchronous training step, priced: the description that closed, maxplus and simgrid share.
// Everything is at nominal speed; a StepDraw says how far devices and links deviate in one step.
// Times are of one device; bytes are per rank unless they say otherwise. Plain values.
//
//   TrainingJob job = make_training_job(scenario, profiles);     // priced once
//   StepOutcome nominal = maxplus_step(job, {});                 // no deviation
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "scenarios/hardware.h"
#include "scenarios/ledger.h"
#include "scenarios/units.h"
#include "sim/interconnect.h"
#include "sim/training/time_split.h"

namespace lindos::sim {

// One micro-batch through one model chunk of a stage. All ranks of the stage end together, so one
// duration holds for all of them; the split is their peak-weighted mean (a faster rank of a mixed
// stage waits: straggler_mix).
struct ChunkWork {
  TimeSplit forward;       // exposed tensor, context and expert communication included
  TimeSplit backward;      // recomputation included
  Bytes forward_message{0};   // activations to the next chunk, per rank
  Bytes backward_message{0};  // their gradients to the chunk before, per rank
  Bytes expert_message{0};    // dispatch = combine, per rank and pass, sent beyond the scale-up domain
};

// Reduce-scatter of gradients and all-gather of parameters among the ranks that hold the same
// weights (all replicas of all groups).
struct GradientExchange {
  Bytes reduce{0};         // full gradient buffer of one rank
  Bytes gather{0};         // full parameter buffer of one rank; 0 when the optimizer is not sharded
  Seconds reduce_time{0};  // at the nominal rate of the slowest path, start-up included
  Seconds gather_time{0};
  Seconds hidden_window{0};  // of reduce and gather, what backward and forward passes can hide
  [[nodiscard]] Seconds exposed() const {
    const Seconds all = reduce_time + gather_time;
    return all > hidden_window ? all - hidden_window : Seconds{0};
  }
};

struct StageJob {
  std::string pool;                 // of its devices; stages of one replica may lie in different pools
  std::int64_t devices = 1;         // of this stage in one replica: tensor × context ranks
  int devices_per_node = 1;
  FlopPerSecond peak{0};            // Σ over these devices, dense, of the training dtype
  std::vector<ChunkWork> chunks;    // one per virtual stage
  Interconnect next;                // one rank's path to the next stage; last stage: to the first
  GradientExchange exchange;
  TimeSplit optimizer;              // clip and update, once per step
  // The least factor on compute that its peaks and bandwidths allow: no pass below its roofline.
  [[nodiscard]] float fastest() const {
    double least = 0.0;
    for (const ChunkWork& chunk : chunks) {
      for (const TimeSplit* split : {&chunk.forward, &chunk.backward}) {
        const Seconds spare = split->of(Cause::kKernelInefficiency) + split->of(Cause::kMemoryBound);
        if (split->compute().count() > 0.0) least = std::max(least, 1.0 - spare / split->compute());
      }
    }
    return static_cast<float>(least);
  }
};

// Deviations in one step; empty vectors mean none. Index [group][replica × stages + stage].
// `slowdown` and `throttle` stretch compute (1 = nominal), `link` the exchange through the NIC.
struct StepDraw {
  std::vector<std::vector<float>> slowdown;  // slowest device of the stage: spread, jitter, fail-slow
  std::vector<std::vector<float>> throttle;  // part of the slowdown by heat, >= 1, multiplied on top
  std::vector<std::vector<float>> link;
};

// Replicas on one pool that work alike.
struct GroupJob {
  std::string name;
  std::string pool;                 // of the first stage
  std::string device;               // its catalogue name
  std::int64_t first_device = 0;    // position in the pool of the first replica's first device there;
                                    // replicas follow each other, stages inside a replica as well
  std::int64_t replicas = 1;
  std::int64_t micro_batches = 1;   // per replica and step
  int virtual_stages = 1;
  std::int64_t expert_replicas = 1; // neighbouring replicas that deal one set of experts out
  std::vector<StageJob> stages;
  // Standard deviation of log(time) that the prices may be off by, for the whole run: kernels, and messages.
  double kernel_sigma = 0.0;
  double link_sigma = 0.0;
  [[nodiscard]] FlopPerSecond peak() const {  // of all replicas
    FlopPerSecond sum{0};
    for (const StageJob& s : stages) sum += s.peak;
    return sum * static_cast<double>(replicas);
  }
  [[nodiscard]] std::int64_t devices_per_replica() const {
    std::int64_t n = 0;
    for (const StageJob& s : stages) n += s.devices;
    return n;
  }
  [[nodiscard]] std::int64_t devices_in(const std::string& pool_name) const {  // of all replicas
    std::int64_t n = 0;
    for (const StageJob& s : stages) n += s.pool == pool_name ? s.devices : 0;
    return n * replicas;
  }
};

struct TrainingJob {
  std::vector<GroupJob> groups;
  std::int64_t ranks_in_exchange = 1;  // Σ replicas × context ranks: length of the ring
  bool hierarchical_exchange = false;  // inside each array first, then between arrays
  double tokens_per_step = 0.0;
  [[nodiscard]] FlopPerSecond peak() const {
    FlopPerSecond sum{0};
    for (const GroupJob& g : groups) sum += g.peak();
    return sum;
  }
  // All ranks wait for the gradient norm, so the step ends with the longest update.
  [[nodiscard]] Seconds longest_optimizer() const {
    Seconds longest{0};
    for (const GroupJob& g : groups) {
      for (const StageJob& s : g.stages) longest = std::max(longest, s.optimizer.total());
    }
    return longest;
  }
};

// Whom the step waited for.
struct Gate {
  std::size_t group = 0;
  std::int64_t replica = 0;
  std::size_t stage = 0;
};

struct StepOutcome {
  Seconds step{0};
  Ledger ledger;   // every device of every group over the step
  Gate gate;
};

}  // namespace lindos::sim
