// SPDX-License-Identifier: Apache-2.0
// The screening price of training shapes: each layer of the model is priced once for a pool and its degrees, by the
// same make_training_job that prices plans, and any cut into stages and chunks is a sum of layers under the closed
// rung's formulas. Exact where all stages see the same paths; where some tensor or context groups straddle two scale-up
// domains, all stages of a pipeline that reaches one are priced at the slower path. What is screened is priced again
// as a whole plan before it is ranked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "scenarios/profile.h"
#include "scenarios/scenario.h"
#include "sim/planner/training_space.h"
#include "sim/training/training_job.h"

namespace lindos::sim {

// Seconds of one micro-batch, forward and backward: what a slow device stretches, and the rest.
struct PassSeconds {
  double forward = 0.0;
  double forward_messages = 0.0;
  double backward = 0.0;
  double backward_messages = 0.0;
  PassSeconds& operator+=(const PassSeconds& other);
  PassSeconds& operator-=(const PassSeconds& other);
  [[nodiscard]] double total() const { return forward + forward_messages + backward + backward_messages; }
};

class LayerPrices {
 public:
  // For all shapes with the degrees and ZeRO stage of `shape`, whatever their stages and chunks. `scenario` holds the
  // way (recomputation, micro-batch size); `copies`: ranks that hold the same parameters, of the whole job.
  LayerPrices(const Scenario& scenario, const TrainingShape& shape, std::int64_t copies,
              const std::map<std::string, Profile>& profiles);

  // One group with one replica, as the closed rung reads it. `layers` per stage, in the plan's order.
  [[nodiscard]] TrainingJob job(const TrainingShape& shape, const std::vector<std::int64_t>& layers) const;
  // The same of a replica over two pools: these prices are those of its first stages' pool, `last` those of the other, and
  // `between` is the way from one to the other.
  [[nodiscard]] TrainingJob job_over(const LayerPrices& last, const Interconnect& between, const TrainingShape& shape,
                                     const std::vector<std::int64_t>& layers) const;
  // Exposed exchange and optimizer after the last pass of such a job, of stages [begin, end).
  [[nodiscard]] Seconds tail(const TrainingShape& shape, const std::vector<std::int64_t>& layers, const TrainingJob& job,
                             std::int64_t micro_batches, std::size_t begin, std::size_t end) const;
  // Layers that the last of two pools takes so that the slowest stage is as quick as can be, these prices being the first's.
  [[nodiscard]] std::int64_t layers_on_last(const LayerPrices& last, const TrainingShape& shape) const;

 private:
  // Appends stages of these layers, the first of which is `first_layer` of the model.
  void add_stages(GroupJob& group, const std::vector<std::int64_t>& layers, std::size_t begin, std::size_t end) const;
  [[nodiscard]] PassSeconds sum(std::int64_t begin, std::int64_t end, bool far) const;

  // Prefix sums over layers, without embedding and head: near paths, and where some stage straddles domains.
  std::vector<PassSeconds> near_;
  std::vector<PassSeconds> far_;
  std::size_t first_far_ = 0;     // the first stage that straddles; number of layers if none
  PassSeconds embedding_;
  PassSeconds head_;
  std::vector<StageJob> stages_;  // of one layer each: paths, messages
  // Seconds of a collective over the parameters of some layers: linear in them.
  struct Collective {
    double start = 0.0;
    double layer = 0.0;
    double ends = 0.0;            // of embedding or head, the longer
    double rounds = 1.0;          // of each micro-batch (ZeRO-2 and ZeRO-3) …
    double once = 1.0;            // … and of each step
    [[nodiscard]] double times(std::int64_t micro_batches) const {
      return once + rounds * static_cast<double>(micro_batches);
    }
    [[nodiscard]] Seconds all(std::int64_t layers, std::int64_t micro_batches) const {
      return Seconds((start + layer * static_cast<double>(layers) + ends) * times(micro_batches));
    }
  };
  Collective reduce_;
  Collective gather_;
  bool reduce_overlaps_ = true;
  bool gather_overlaps_ = true;
  double optimizer_layer_ = 0.0;
  double optimizer_ends_ = 0.0;   // of embedding or head, the longer
};

}  // namespace lindos::sim
