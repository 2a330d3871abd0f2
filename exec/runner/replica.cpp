// SPDX-License-Identifier: Apache-2.0
#include "exec/runner/replica.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <span>

#include "exec/model/weight_type.h"
#include "exec/runner/share_products.h"
#include "exec/runner/step_codec.h"
#include "exec/scheduler/limits_from_plan.h"
#include "kernels/attention.h"
#include "scenarios/error.h"

namespace lindos::exec {

namespace {

using Clock = std::chrono::steady_clock;

std::vector<ShardId> all_shards(const GroupPlan& group) {
  std::vector<ShardId> shards;
  for (int s = 0; s < static_cast<int>(group.stages.size()); ++s) {
    for (int r = 0; r < static_cast<int>(group.stages[static_cast<std::size_t>(s)].ranks.size()); ++r) {
      shards.push_back({s, r});
    }
  }
  return shards;
}

// Of what the ranks say: devices may have different room, and a block has the same id in all of them.
std::int64_t least_of(std::int64_t value, Communicator& world) {
  std::int64_t least = value;
  for (int r = 0; r < world.size(); ++r) {
    std::int64_t theirs = value;
    world.broadcast(std::as_writable_bytes(std::span<std::int64_t, 1>(&theirs, 1)), r);
    least = std::min(least, theirs);
  }
  return least;
}

// What the CPU kernels' page layout does not hold would be read and written beside its page. (CudaModel checks its own.)
void require_page_layout(const EngineConfig& config) {
  if (config.backend != Backend::kCpu) return;
  const GroupPlan& group = config.group;
  const std::string where = "plan group " + group.name;
  if (group.limits.block_tokens != kernels::kPageTokens) {
    throw Error(ErrorKind::kInput, where,
                "block_tokens " + std::to_string(group.limits.block_tokens) +
                    " does not run on the CPU; its pages hold " + std::to_string(kernels::kPageTokens));
  }
  (void)weight_type_or_throw(group.kv_dtype, "KV dtype", where);
}

// The rotary table ends at the context limit.
void require_context(const std::vector<RequestSpec>& requests, std::int64_t limit) {
  for (const RequestSpec& request : requests) {
    const std::int64_t needed = request.prompt_tokens + request.output_tokens;
    if (needed <= limit) continue;
    throw Error(ErrorKind::kInput, "request " + std::to_string(request.id),
                "prompt and output need " + std::to_string(needed) + " tokens; the context holds " +
                    std::to_string(limit));
  }
}

// The scheduler's driver on the real clock.
class EngineBackend final : public scheduler::StepBackend {
 public:
  EngineBackend(RankWorker& worker, EngineRun& run, LiveCounters* live)
      : worker_(&worker), run_(&run), live_(live), t0_(Clock::now()) {}

  Seconds now() override { return Clock::now() - t0_; }

  void start(const scheduler::Step& step) override {
    Batch batch;
    Started started{step.id, Seconds{0}, {}};
    for (const scheduler::StepSlice& s : step.slices) {
      batch.push_back({s.first_position, static_cast<std::int64_t>(s.tokens.size()), s.wants_logits});
      run_->first_step.emplace(s.request, run_->steps.size());
      if (live_ != nullptr && s.wants_logits) started.sampled_for.push_back(s.request);
    }
    run_->steps.push_back(std::move(batch));
    started.at = now();
    run_->step_starts.push_back(started.at);
    started_.push_back(std::move(started));
    worker_->start(make_step_input(step));
  }

  scheduler::StepResult wait() override {
    scheduler::StepResult result;
    result.step = started_.front().id;
    result.sampled = worker_->wait();
    const Seconds end = now();
    run_->step_times.push_back(end - started_.front().at);
    if (live_ != nullptr) live_->sampled(end, started_.front().sampled_for);
    started_.pop_front();
    return result;
  }

  void idle_until(Seconds t) override {
    const Seconds before = now();
    // The sleeping thread wakes some 50 us late; the last stretch is spun so that arrivals are on time.
    constexpr Seconds kSpin{200e-6};
    if (t - before > kSpin) std::this_thread::sleep_for(t - before - kSpin);
    while (now() < t) {
    }
    run_->no_work += now() - before;
  }

 private:
  struct Started {
    std::uint64_t id;
    Seconds at;
    std::vector<scheduler::RequestId> sampled_for;
  };
  RankWorker* worker_;
  EngineRun* run_;
  LiveCounters* live_;
  Clock::time_point t0_;
  std::deque<Started> started_;
};

}  // namespace

std::unique_ptr<Replica> Replica::in_process(const EngineConfig& config) {
  require_page_layout(config);
  std::unique_ptr<Replica> replica(new Replica(config));
  cut_device(replica->config_);
  const std::vector<ShardId> shards = all_shards(config.group);
  auto world = make_thread_communicators(static_cast<int>(shards.size()));
  std::vector<std::unique_ptr<Communicator>> tensor;
  for (const StagePlan& stage : config.group.stages) {
    if (stage.ranks.size() == 1) {
      tensor.push_back(make_single_communicator());
      continue;
    }
    for (auto& c : make_thread_communicators(static_cast<int>(stage.ranks.size()))) {
      tensor.push_back(std::move(c));
    }
  }
  for (std::size_t i = 0; i < shards.size(); ++i) {
    replica->workers_.push_back(
        std::make_unique<RankWorker>(replica->config_, shards[i], std::move(world[i]), std::move(tensor[i])));
  }
  for (std::size_t i = 1; i < shards.size(); ++i) {
    replica->threads_.emplace_back([worker = replica->workers_[i].get()] {
      try {
        worker->ready();
        worker->loop();
      } catch (const std::exception& e) {
        // Every other rank leaves its wait with this reason; the driver reports it.
        worker->abort(e.what());
      }
    });
  }
  replica->workers_.front()->ready();
  return replica;
}

std::unique_ptr<Replica> Replica::over_mpi(const EngineConfig& config) {
  require_page_layout(config);
  std::unique_ptr<Replica> replica(new Replica(config));
  LINDOS_ASSERT(config.multiprocessors.empty(), "parts of a GPU are for ranks of one process");
  const std::vector<ShardId> shards = all_shards(config.group);
  auto world = make_mpi_communicator(0, 0);
  if (world->size() != static_cast<int>(shards.size())) {
    throw Error(ErrorKind::kUsage, "mpi",
                "the plan has " + std::to_string(shards.size()) + " ranks, the job " +
                    std::to_string(world->size()) + " processes");
  }
  const int rank = world->rank();
  const ShardId shard = shards[static_cast<std::size_t>(rank)];
  auto tensor = make_mpi_communicator(shard.stage, rank);
  replica->driver_ = rank == 0;
  EngineConfig own = config;
  own.kv_blocks = least_of(config.kv_blocks, *world);
  own.host_blocks = least_of(config.host_blocks, *world);
  own.tuned = share_known(config.tuned, *world);
  replica->config_ = own;
  Communicator& all = *world;  // the worker's from here on
  replica->workers_.push_back(std::make_unique<RankWorker>(own, shard, std::move(world), std::move(tensor)));
  replica->workers_.front()->ready();
  if (own.tuned) gather_found(*own.tuned, all);
  return replica;
}

Replica::~Replica() { join(); }

void Replica::join() {
  // No worker: the first rank's construction failed.
  if (driver_ && !stopped_ && !workers_.empty()) {
    stopped_ = true;
    try {
      workers_.front()->stop();
    } catch (const Error&) {
      // The group was aborted: its ranks have left already.
    }
  }
  for (std::thread& t : threads_) t.join();
  threads_.clear();
}

void Replica::serve_as_worker() { workers_.front()->loop(); }

EngineRun Replica::run(const std::vector<RequestSpec>& requests, const RunOptions& options) {
  require_context(requests, context_limit(config_.model, config_.group.limits));
  EngineRun run;
  scheduler::Scheduler scheduler(scheduler::scheduler_limits(config_.group, config_.kv_blocks, config_.host_blocks),
                                 scheduler::Policy::kDecodeFirst);
  scheduler::ServeHooks hooks;
  hooks.prompt = options.prompt;
  hooks.stop_tokens = options.stop_tokens;
  hooks.progress = options.progress;
  hooks.cancelled = options.cancelled;
  hooks.admission = options.admission;
  try {
    EngineBackend backend(*workers_.front(), run, options.live);
    LiveCounters* const live = options.live;
    if (live != nullptr) {
      live->begin();
      hooks.prompt = [&](const RequestSpec& spec) {
        live->submitted(spec.id, spec.on_completion ? backend.now() : spec.arrival, spec.output_tokens);
        return options.prompt(spec);
      };
      hooks.progress = [&](std::size_t finished, std::size_t total) {
        live->state(scheduler.snapshot());
        if (options.progress) options.progress(finished, total);
      };
    }
    run.outcome = scheduler::serve(scheduler, requests, static_cast<int>(config_.group.stages.size()),
                                   backend, hooks);
    run.wall = backend.now();
    run.ranks = workers_.front()->collect_reports();
  } catch (const std::exception& e) {
    stopped_ = true;
    workers_.front()->abort(e.what());
    throw;
  }
  return run;
}

std::vector<scheduler::TokenId> synthetic_prompt(const RequestSpec& request, std::uint64_t seed,
                                                 std::int64_t vocab) {
  // Requests count from 0: no request draws where a beginning does.
  constexpr std::uint64_t kOfBeginnings = std::uint64_t{1} << 63U;
  const std::int64_t in_common = request.beginning ? request.beginning->of(request.prompt_tokens) : 0;
  std::vector<scheduler::TokenId> ids(static_cast<std::size_t>(request.prompt_tokens));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto at = static_cast<std::int64_t>(i);
    const std::uint64_t whose =
        at < in_common
            ? kOfBeginnings | request.beginning->ids[static_cast<std::size_t>(at / request.beginning->tokens_per_id)]
            : request.id;
    ids[i] = static_cast<scheduler::TokenId>(kernels::uniform_draw(seed, whose, i) * static_cast<double>(vocab));
  }
  return ids;
}

}  // namespace lindos::exec
