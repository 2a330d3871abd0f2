// SPDX-License-Identifier: Apache-2.0
// One rank of a replica: receives steps, runs its stage, hands the residual stream on. Rank 0 of stage 0
// drives (holds the scheduler) and calls start/wait; all others sit in loop() until the driver stops them.
//
//   driver ─ broadcast in stage 0 ─▶ stage 0 ranks ─ step + residual ─▶ stage 1 ranks ─ … ─ ids ─▶ driver
//
// World rank = stage-major index. Threading: one thread per worker (plus the pool's own members).
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "exec/checkpoint/checkpoint.h"
#include "exec/comm/all_reduce.h"
#include "exec/comm/communicator.h"
#include "exec/model/stage_model.h"
#include "exec/runner/tuned_products.h"
#include "exec/telemetry/op_timer.h"
#include "kernels/cpu_pool.h"
#include "kernels/sample.h"
#include "scenarios/model.h"
#include "scenarios/plan.h"

namespace lindos::exec {

namespace cuda {
class DevicePartition;
}

// On what the ranks of a replica compute.
enum class Backend { kCpu, kCuda };

struct EngineConfig {
  Backend backend = Backend::kCpu;
  Model model;
  GroupPlan group;
  std::shared_ptr<const Checkpoint> checkpoint;
  kernels::SamplingParameters sampling;
  std::int64_t kv_blocks = 0;
  std::int64_t host_blocks = 0;  // in host memory
  int cores = 1;               // of this machine, shared by all ranks of the replica
  AllReduce all_reduce = AllReduce::kAuto;  // on GPUs
  // On a GPU that all ranks share: the multiprocessors of each, in world order; empty: every rank uses all of them.
  std::vector<int> multiprocessors;
  std::vector<std::shared_ptr<const cuda::DevicePartition>> parts;  // cut_device() makes them
  std::shared_ptr<TunedProducts> tuned;  // on a GPU: fast products of earlier starts, and those found in this one; may be null
};

// Cuts the GPU as `multiprocessors` says. Throws Error{kInput} when it has fewer, or ranks and parts differ in number.
void cut_device(EngineConfig& config);

// Threads of one rank: as planned, else an even share of the cores, at least 1.
[[nodiscard]] int threads_of(const GroupPlan& group, ShardId shard, int cores);
// Index among all ranks of the replica, stage by stage.
[[nodiscard]] int world_rank(const GroupPlan& group, ShardId shard);
// Positions the rotary table must cover.
[[nodiscard]] std::int64_t context_limit(const Model& model, const EngineLimits& limits);

// Sent to the driver as bytes: trivially copyable.
struct RankReport {
  int stage = 0;
  int rank = 0;
  int threads = 1;
  double family_s[kOpFamilies] = {};
  double comm_wait_s = 0.0;      // inside collectives, for the last member to arrive
  double comm_transfer_s = 0.0;  // moving and summing
  double step_wait_s = 0.0;      // for the next step to reach this rank
  ExpertUse experts;
  double weight_bytes = 0.0;
  double kv_bytes = 0.0;
  double scratch_bytes = 0.0;
  [[nodiscard]] double memory_bytes() const { return weight_bytes + kv_bytes + scratch_bytes; }
};

// The rank's model on the configured backend. Throws Error{kInput} for what that backend cannot run,
// Error{kEnvironment} when its device is missing.
[[nodiscard]] std::unique_ptr<StageModel> make_stage_model(const EngineConfig& config, ShardId shard, kernels::CpuPool& pool,
                                                           Communicator& tensor_group, OpTimer& timer);

class RankWorker {
 public:
  RankWorker(const EngineConfig& config, ShardId shard, std::unique_ptr<Communicator> world,
             std::unique_ptr<Communicator> tensor_group);

  // All ranks, each on its own thread: returns when every rank has its weights and has met those of its stage.
  void ready() {
    model_->meet();
    world_->barrier();
  }
  // Ranks other than the driver: runs steps until stop().
  void loop();

  // Driver only.
  void start(const StepInput& input);
  [[nodiscard]] std::vector<std::int32_t> wait();
  [[nodiscard]] std::vector<RankReport> collect_reports();   // and reset all counters
  void stop();

  // Logits of the last step this rank ran; last stage only (tests).
  [[nodiscard]] std::span<const float> last_logits() const { return model_->last_logits(); }
  [[nodiscard]] const char* sums_by() const { return model_->sums_by(); }
  void abort(const std::string& reason);

 private:
  enum class Message : std::int64_t { kStep, kReport, kStop };
  struct Header {
    Message message;
    std::int64_t payload_bytes;
  };
  [[nodiscard]] bool is_first() const { return shard_.stage == 0; }
  [[nodiscard]] bool is_last() const { return shard_.stage + 1 == stages_; }
  [[nodiscard]] int ranks_in(int stage) const;
  void announce(Message message, std::span<const std::byte> payload);
  void forward(Message message, std::span<const std::byte> payload, std::span<const float> residual);
  void run_stage(const StepInput& input, std::span<const std::byte> payload);
  [[nodiscard]] std::vector<std::int32_t> sample(const StepInput& input);
  [[nodiscard]] RankReport take_report();

  EngineConfig config_;
  ShardId shard_;
  int stages_;
  std::unique_ptr<Communicator> world_;
  std::unique_ptr<Communicator> tensor_group_;
  kernels::CpuPool pool_;
  OpTimer timer_;
  std::unique_ptr<StageModel> model_;
  double step_wait_s_ = 0.0;
  std::deque<std::vector<std::int32_t>> local_results_;   // driver of a single-stage replica
  std::deque<std::size_t> expected_ids_;                  // driver: sampled ids of each step in flight
};

}  // namespace lindos::exec
