// SPDX-License-Identifier: Apache-2.0
// What a training search may choose. A shape is how one replica is cut on one pool; a way is what all replicas of a
// job share. Plans of the space: for a way and some of the pools one shape each, replicas and micro-batches per
// replica, so that the global batch is dealt out exactly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "scenarios/plan.h"
#include "scenarios/scenario.h"
#include "scenarios/workload.h"

namespace lindos::sim {

// The last stages of a replica that spans two pools.
struct LastStages {
  std::size_t pool = 0;           // index into the cluster's pools
  int stages = 1;
  std::int64_t layers = 0;        // on them together; the first stages have the others
  auto operator<=>(const LastStages&) const = default;
};

// One replica takes tensor × context × stages devices, of its pool or of two.
struct TrainingShape {
  std::size_t pool = 0;           // index into the cluster's pools
  std::int64_t tensor = 1;
  std::int64_t context = 1;
  std::int64_t expert = 1;
  int stages = 1;
  int chunks = 1;                 // per stage (interleaving)
  int zero_stage = 1;
  std::optional<LastStages> last = std::nullopt;  // of all stages those on another pool
  [[nodiscard]] std::int64_t devices() const { return tensor * context * stages; }
  [[nodiscard]] std::int64_t devices_in(std::size_t its_pool) const {
    const int there = last ? last->stages : 0;
    return tensor * context * ((its_pool == pool ? stages - there : 0) + (last && its_pool == last->pool ? there : 0));
  }
  // Replicas come in multiples of this: expert ranks are dealt out over replicas × context ranks.
  [[nodiscard]] std::int64_t granule() const;
  auto operator<=>(const TrainingShape&) const = default;
};

// Workload figures that change how a step is computed, not what it computes.
struct TrainingWay {
  Recompute recompute = Recompute::kNone;
  std::int64_t micro_batch = 1;
  auto operator<=>(const TrainingWay&) const = default;
};

struct TrainingSpace {
  std::vector<std::size_t> pools;      // that may be used
  std::vector<TrainingWay> ways;       // the scenario's own first
  std::vector<int> zero_stages = {1, 2, 3};  // the first that fits is taken: later ones only send more
  std::int64_t least_batch = 0;        // sequences per step
  std::int64_t most_batch = 0;         // equal to least_batch unless the batch may grow
  std::int64_t widest_context = 16;
  int most_stages = 0;                 // 0: as many as layers
};

// Pools by name, empty: all; `free_ways`: recomputation and micro-batch size may differ from the scenario's;
// `most_batch` 0: the batch stays. Throws Error{kInput} for an unknown pool or a batch below the scenario's.
[[nodiscard]] TrainingSpace training_space(const Scenario& scenario, const std::vector<std::string>& pools,
                                           bool free_ways, std::int64_t most_batch);

// Every cut of the model that the pool has devices for, ZeRO stage left at 1: tensor and context degrees and expert
// degrees in powers of two (tensor within the scale-up domain), any number of stages up to 32, beyond it those that
// shorten the longest chunk, any number of chunks that leaves each a layer. In a fixed order.
[[nodiscard]] std::vector<TrainingShape> shapes_on(const Scenario& scenario, const TrainingSpace& space,
                                                   std::size_t pool);

// Replicas of the shape that the pool has room for beside its spares, in whole granules.
[[nodiscard]] std::int64_t most_replicas(const Scenario& scenario, const TrainingShape& shape);

// Every cut into stages of which the first lie on one pool and the last on the other: degrees as there, within the domains of
// both; stages per pool in powers of two up to 8, chunks in powers of two. Layers are not dealt yet (LastStages::layers is 0).
[[nodiscard]] std::vector<TrainingShape> shapes_over(const Scenario& scenario, const TrainingSpace& space, std::size_t first,
                                                     std::size_t last);

// Layers per stage.
[[nodiscard]] std::vector<std::int64_t> even_layers(const Model& model, int stages);
// As the shape deals them: evenly, over two pools evenly on each.
[[nodiscard]] std::vector<std::int64_t> layers_of(const Model& model, const TrainingShape& shape);

// The group of a plan, with number formats and overlaps as the scenario's plan has them on that pool (else in its
// first group).
[[nodiscard]] GroupPlan group_of(const Scenario& scenario, const TrainingShape& shape, std::int64_t replicas,
                                 std::int64_t micro_batches);
// The same for layers that even_layers has dealt out already, which takes most of its time.
[[nodiscard]] GroupPlan group_of(const Scenario& scenario, const TrainingShape& shape,
                                 const std::vector<std::int64_t>& layers, std::int64_t replicas,
                                 std::int64_t micro_batches);

// "TP8 CP2 PP8 ×15 chunks": degrees above 1; over two pools "TP8 PP4, 30 layers on the last 1".
[[nodiscard]] std::string text_of(const TrainingShape& shape);
// "h100", "h100 and gb200".
[[nodiscard]] std::string pools_text(const Scenario& scenario, const TrainingShape& shape);

}  // namespace lindos::sim
