// SPDX-License-Identifier: Apache-2.0
// How far each stage of a job deviates from nominal speed in one step, drawn from the fleet's
// faults: static spread and jitter per device, slow and hot nodes, fail-slow episodes. A stage is
// as slow as its slowest device. Distributions, sources and limits: docs/stragglers.md. Pure
// functions of (seed, index): equal for any number of threads, and for a device equal under any
// plan that leaves it in its node.
//
//   const StragglerModel model(job, cluster.faults);
//   const StepDraw draw = model.draw(seed, 7);
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "scenarios/hardware.h"
#include "sim/training/device_spread.h"
#include "sim/training/training_job.h"

namespace lindos::sim {

// Devices of one stage that share a node, in one step; factors on time, 1 = typical.
struct SliceDraw {
  std::size_t group = 0;
  std::size_t index = 0;    // replica × stages + stage, as in StepDraw
  std::int64_t first = 0;   // position in the stage's pool
  std::int64_t devices = 0;
  float node = 1.0F;        // static slowness and episodes
  float spread = 1.0F;      // the slowest of these devices: spread and jitter
  float throttle = 1.0F;
  float network = 1.0F;
};

class StragglerModel {
 public:
  // `faults.evicted_share` of the devices, the statically slowest, are replaced by others of their kind.
  // Borrows `job`. REQUIRES: 0 <= faults.evicted_share < 1.
  StragglerModel(const TrainingJob& job, const Faults& faults);

  // One step of one run.
  [[nodiscard]] StepDraw draw(std::uint64_t seed, std::uint32_t index) const;

  // The same step, device by device as far as it is drawn; stages of a replica one after the other.
  [[nodiscard]] std::vector<SliceDraw> slices(std::uint64_t seed, std::uint32_t index) const;

  // Mean, over draws, of the stretch of compute on the job's slowest device: about 1 + sigma · z
  // with z = Phi^-1((N − 0.375) / (N + 0.25)) where N devices differ by spread and jitter only
  // (modelling handbook §5.3). Links are not in it.
  [[nodiscard]] double expected_slowdown() const;

 private:
  struct Episode {
    double probability = 0.0;  // that a node is in one at a given moment
    double compute = 1.0;
    double network = 1.0;
  };
  // One node in one step.
  struct NodeState {
    bool slow = false;
    double compute = 1.0;  // static slowness and episodes
    double throttle = 1.0;
    double network = 1.0;
  };
  // Devices of one stage that share a node.
  struct Slice {
    std::uint32_t pool_key = 0;
    std::int64_t first = 0;  // position in the pool
    std::int64_t devices = 0;
    std::int64_t node = 0;
  };

  // Calls visit(group, index, slice, node, slowest device's factor).
  template <class Visit>
  void visit_slices(std::uint64_t seed, std::uint32_t index, const Visit& visit) const;
  [[nodiscard]] NodeState node_state(const Slice& slice, std::uint64_t seed,
                                     std::uint32_t index) const;
  [[nodiscard]] double slowest_device(const Slice& slice, bool slow, std::uint64_t seed,
                                      std::uint32_t index) const;

  const TrainingJob* job_;
  std::vector<Episode> episodes_;
  double slow_probability_;
  double slow_compute_;  // time of a slow node relative to the others
  double hot_probability_;
  double hot_throttle_;
  DeviceSpread ordinary_;  // a device of an ordinary node
  DeviceSpread in_slow_node_;
};

}  // namespace lindos::sim
