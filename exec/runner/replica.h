// SPDX-License-Identifier: Apache-2.0
// One replica of the engine: its ranks as threads of this process or as MPI processes, driven through the
// shared scheduler on the real clock.
//
//   auto replica = Replica::in_process(config);
//   EngineRun run = replica->run(requests, options);
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include "exec/runner/live_counters.h"
#include "exec/runner/rank_worker.h"
#include "exec/scheduler/driver.h"

namespace lindos::exec {

struct RunOptions {
  std::function<std::vector<scheduler::TokenId>(const RequestSpec&)> prompt;
  std::vector<scheduler::TokenId> stop_tokens;
  std::function<void(std::size_t finished, std::size_t total)> progress;
  std::function<bool()> cancelled;
  std::optional<scheduler::AdmissionControl> admission;  // each run begins with it anew; nothing: all are let in
  LiveCounters* live = nullptr;        // counts what passes, for a watcher on another thread; borrowed
};

struct EngineRun {
  scheduler::ServeOutcome outcome;
  std::vector<Batch> steps;            // what ran, step by step: input of the ledger and of MFU
  std::vector<Seconds> step_starts;    // since the run began, same order
  std::unordered_map<std::uint64_t, std::size_t> first_step;   // request → position of the first step that it was in
  std::vector<Seconds> step_times;     // start of the step to its result at the driver, same order
  std::vector<RankReport> ranks;       // stage-major
  Seconds wall{0};
  Seconds no_work{0};                  // driver idle until the next arrival
};

class Replica {
 public:
  // Throws Error{kInput} for what the engine cannot run, Error{kEnvironment} when a rank fails to start.
  [[nodiscard]] static std::unique_ptr<Replica> in_process(const EngineConfig& config);
  // One process per rank. REQUIRES: MpiSession with exactly ranks_per_replica() processes.
  [[nodiscard]] static std::unique_ptr<Replica> over_mpi(const EngineConfig& config);
  ~Replica();
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  [[nodiscard]] bool is_driver() const { return driver_; }
  // As StageModel::sums_by, of the driver's stage.
  [[nodiscard]] const char* sums_by() const { return workers_.front()->sums_by(); }
  // Ranks other than the driver (MPI): returns when the driver is done.
  void serve_as_worker();
  // Driver: serves the requests to the end; may be called again, unless it threw after its first step. Throws
  // Error{kInput} before any step for a request longer than the context.
  [[nodiscard]] EngineRun run(const std::vector<RequestSpec>& requests, const RunOptions& options);
  [[nodiscard]] RankWorker& driver_worker() { return *workers_.front(); }
  [[nodiscard]] RankWorker& worker(std::size_t world_rank) { return *workers_.at(world_rank); }

 private:
  explicit Replica(const EngineConfig& config) : config_(config) {}
  void join();
  EngineConfig config_;
  bool driver_ = true;
  bool stopped_ = false;
  std::vector<std::unique_ptr<RankWorker>> workers_;   // in-process: all ranks; MPI: this one
  std::vector<std::thread> threads_;
};

// Prompt of a twin run: ids drawn from (seed, request, position), uniform over the vocabulary; where it begins as others
// do from (seed, id of the beginning, position).
[[nodiscard]] std::vector<scheduler::TokenId> synthetic_prompt(const RequestSpec& request,
                                                               std::uint64_t seed, std::int64_t vocab);

}  // namespace lindos::exec
