// SPDX-License-Identifier: Apache-2.0
#include "sim/fleet_runner.h"

#include <algorithm>
#include <utility>

#include "sim/closed_serving.h"
#include "sim/maxplus.h"
#include "sim/serving_run.h"
#include "sim/simgrid_serving.h"
#include "sim/workers.h"

namespace lindos::sim {

namespace {

// A thread is worth its copy of the models from about this many requests.
constexpr std::size_t kThreadedRequests = 2'000;

}  // namespace

ServingRun FleetRunner::serve_one(Fidelity fidelity, ServingGroup& group, const Job& job) const {
  if (job.requests->empty()) return {};
  if (job.draw != nullptr)
    return serve_maxplus(group.replica, group.limits, *job.requests, *job.draw, cancelled_);
  if (fidelity == Fidelity::kClosed) return serve_closed(group.replica, group.limits, *job.requests);
  // A replica of one stage sends no message, so that both event rungs are the same.
  if (fidelity == Fidelity::kSimgrid && group.replica.stages() > 1) {
    return serve_simgrid_isolated(group.replica, scenario_.cluster.fabric, group.stage_devices, group.limits,
                                  *job.requests, cancelled_);
  }
  return serve_maxplus(group.replica, group.limits, *job.requests, Draw{}, cancelled_);
}

std::size_t FleetRunner::workers_for(Fidelity fidelity, std::size_t count, std::size_t requests) const {
  // SimGrid's runs fork, which a process with threads must not.
  const bool forks = fidelity == Fidelity::kSimgrid &&
                     std::any_of(fleet_.groups.begin(), fleet_.groups.end(), [](const ServingGroup& g) {
                       return g.replica.stages() > 1 || g.plan.role == Role::kPrefill;
                     });
  if (forks || requests < kThreadedRequests) return 1;
  return sim::workers_for(count);
}

void FleetRunner::for_each(Fidelity fidelity, std::size_t count, std::size_t requests,
                           const std::function<void(Groups&, std::size_t)>& work,
                           const std::function<void(double)>& progress) {
  const std::size_t workers = workers_for(fidelity, count, requests);
  while (copies_.size() + 1 < workers) copies_.push_back(fleet_.groups);
  run_workers(
      workers, count, [&](std::size_t worker, std::size_t i) { work(worker == 0 ? fleet_.groups : copies_[worker - 1], i); },
      progress);
}

std::vector<ReplicaOutcome> FleetRunner::serve(Fidelity fidelity, const std::vector<Job>& jobs,
                                               const std::function<void(double)>& progress) {
  std::vector<ReplicaOutcome> outcomes(jobs.size());
  std::size_t requests = 0;
  for (const Job& job : jobs) requests += job.requests->size();
  for_each(
      fidelity, jobs.size(), requests,
      [&](Groups& groups, std::size_t i) {
        const Job& job = jobs[i];
        outcomes[i] = replica_outcome(job.group, serve_one(fidelity, groups[job.group], job), promises_);
      },
      progress);
  return outcomes;
}

std::vector<CellReplica> FleetRunner::deal(const Cell& cell) {
  return serve_cell(fleet_.groups, scenario_, cell, nullptr, cancelled_).replicas;
}

std::vector<std::vector<ReplicaOutcome>> FleetRunner::serve_cells(Fidelity fidelity, const std::vector<CellJob>& jobs,
                                                                  const std::function<void(double)>& progress) {
  std::vector<std::vector<ReplicaOutcome>> outcomes(jobs.size());
  std::size_t requests = 0;
  for (const CellJob& job : jobs) requests += job.cell->requests.size();
  for_each(
      fidelity, jobs.size(), requests,
      [&](Groups& groups, std::size_t i) {
        const CellJob& job = jobs[i];
        CellRun run = serve_cell(groups, scenario_, *job.cell, job.draws, cancelled_);
        if (fidelity != Fidelity::kMaxplus) {
          time_cell(
              groups, scenario_, run,
              [&](ServingGroup& group, const std::vector<RequestSpec>& dealt) {
                return serve_one(fidelity, group, {0, &dealt, nullptr});
              },
              cancelled_);
        }
        join_handovers(run);
        for (CellReplica& replica : run.replicas)
          outcomes[i].push_back(replica_outcome(replica.group, std::move(replica.run), promises_, replica.turned_away));
        for (const CellRun::Handover& handover : run.handovers)
          outcomes[i][handover.kv.to].kv_transfer.push_back((handover.kv.arrived - handover.kv.ready).count());
      },
      progress);
  return outcomes;
}

}  // namespace lindos::sim
