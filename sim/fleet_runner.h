// SPDX-License-Identifier: Apache-2.0
// Serves replicas of a fleet, several at a time: each worker thread has replica models of its own, whose caches are not
// shared. A run depends on its requests and its draw alone, not on the worker or the order.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "scenarios/scenario.h"
#include "scenarios/workload.h"
#include "sim/cell.h"
#include "sim/fleet.h"
#include "sim/fleet_outcome.h"
#include "sim/predict.h"
#include "sim/stage_work.h"

namespace lindos::sim {

class FleetRunner {
 public:
  struct Job {
    std::size_t group = 0;
    const std::vector<RequestSpec>* requests = nullptr;
    const Draw* draw = nullptr;  // for the max-plus rung; null = the centre, at the fidelity asked for
  };
  struct CellJob {
    const Cell* cell = nullptr;
    const std::vector<Draw>* draws = nullptr;  // [group], as above
  };
  // All are borrowed. `cancelled` may be empty; several threads call it.
  FleetRunner(Fleet& fleet, const Scenario& scenario, const std::function<bool()>& cancelled)
      : fleet_(fleet),
        scenario_(scenario),
        promises_(promises_of(scenario.workload.serving, scenario.slo)),
        cancelled_(cancelled) {}

  // [job]. Throws what the first job that failed threw. `progress`: of this call, in [0, 1]; may be empty.
  [[nodiscard]] std::vector<ReplicaOutcome> serve(Fidelity fidelity, const std::vector<Job>& jobs,
                                                  const std::function<void(double)>& progress = {});

  // [job][replica]. Who serves what is decided on the max-plus rung; a finer or coarser rung then times each replica.
  [[nodiscard]] std::vector<std::vector<ReplicaOutcome>> serve_cells(
      Fidelity fidelity, const std::vector<CellJob>& jobs, const std::function<void(double)>& progress = {});

  // Who serves what in a cell, at the centre.
  [[nodiscard]] std::vector<CellReplica> deal(const Cell& cell);

 private:
  using Groups = std::vector<ServingGroup>;
  // Calls work(groups, i) for each i below `count` on as many threads as `requests` are worth.
  void for_each(Fidelity fidelity, std::size_t count, std::size_t requests,
                const std::function<void(Groups&, std::size_t)>& work, const std::function<void(double)>& progress);
  [[nodiscard]] ServingRun serve_one(Fidelity fidelity, ServingGroup& group, const Job& job) const;
  [[nodiscard]] std::size_t workers_for(Fidelity fidelity, std::size_t count, std::size_t requests) const;

  Fleet& fleet_;
  const Scenario& scenario_;
  const Promises promises_;
  const std::function<bool()>& cancelled_;
  std::vector<Groups> copies_;  // of the workers beyond the first
};

}  // namespace lindos::sim
