// SPDX-License-Identifier: Apache-2.0
#include "exec/runner/rank_worker.h"

#include <algorithm>
#include <bit>
#include <chrono>

#include "exec/runner/step_codec.h"

namespace lindos::exec {

namespace {

// Candidates per rank that take part in a sampled draw; greedy needs one. 256 hold all but a vanishing
// share of the probability at usable temperatures.
constexpr std::int64_t kSampledCandidates = 256;

template <class T>
std::span<std::byte> bytes_of(T& value) {
  return std::as_writable_bytes(std::span<T, 1>(&value, 1));
}

double seconds_since(std::chrono::steady_clock::time_point t0) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - t0).count();
}

}  // namespace

int threads_of(const GroupPlan& group, ShardId shard, int cores) {
  const RankPlan& rank =
      group.stages.at(static_cast<std::size_t>(shard.stage)).ranks.at(static_cast<std::size_t>(shard.rank));
  if (rank.threads > 0) return rank.threads;
  return std::max(1, cores / static_cast<int>(group.ranks_per_replica()));
}

std::int64_t context_limit(const Model& model, const EngineLimits& limits) {
  return limits.max_context > 0 ? limits.max_context : model.max_positions;
}

RankWorker::RankWorker(const EngineConfig& config, ShardId shard, std::unique_ptr<Communicator> world,
                       std::unique_ptr<Communicator> tensor_group)
    : config_(config),
      shard_(shard),
      stages_(static_cast<int>(config.group.stages.size())),
      world_(std::move(world)),
      tensor_group_(std::move(tensor_group)),
      pool_(threads_of(config.group, shard, config.cores)),
      model_(make_stage_model(config, shard, pool_, *tensor_group_, timer_)) {}

int RankWorker::ranks_in(int stage) const {
  return static_cast<int>(config_.group.stages[static_cast<std::size_t>(stage)].ranks.size());
}

int world_rank(const GroupPlan& group, ShardId shard) {
  int first = 0;
  for (int s = 0; s < shard.stage; ++s) first += static_cast<int>(group.stages[static_cast<std::size_t>(s)].ranks.size());
  return first + shard.rank;
}

// Driver → the other ranks of stage 0.
void RankWorker::announce(Message message, std::span<const std::byte> payload) {
  if (tensor_group_->size() == 1) return;
  Header header{message, static_cast<std::int64_t>(payload.size())};
  for (int peer = 1; peer < tensor_group_->size(); ++peer) {
    tensor_group_->send(bytes_of(header), peer);
    if (!payload.empty()) tensor_group_->send(payload, peer);
  }
}

// This rank → those ranks of the next stage that it serves (receiver i takes from sender i mod degree).
void RankWorker::forward(Message message, std::span<const std::byte> payload,
                         std::span<const float> residual) {
  if (is_last()) return;
  const int senders = ranks_in(shard_.stage);
  Header header{message, static_cast<std::int64_t>(payload.size())};
  for (int r = 0; r < ranks_in(shard_.stage + 1); ++r) {
    if (r % senders != shard_.rank) continue;
    const int peer = world_rank(config_.group, {shard_.stage + 1, r});
    world_->send(bytes_of(header), peer);
    if (!payload.empty()) world_->send(payload, peer);
    if (!residual.empty()) world_->send(std::as_bytes(residual), peer);
  }
}

void RankWorker::run_stage(const StepInput& input, std::span<const std::byte> payload) {
  model_->forward(input);
  if (!is_last()) {
    timer_.start();
    forward(Message::kStep, payload, model_->outgoing(input.rows()));
    timer_.mark(OpFamily::kCommunication);
    return;
  }
  if (input.logit_rows.empty() && !is_first()) return;
  std::vector<std::int32_t> ids = sample(input);
  if (shard_.rank != 0) return;
  if (is_first()) {
    local_results_.push_back(std::move(ids));
  } else {
    world_->send(std::as_bytes(std::span(ids)), 0);
  }
}

std::vector<std::int32_t> RankWorker::sample(const StepInput& input) {
  std::vector<std::int32_t> ids;
  if (input.logit_rows.empty()) return ids;
  const std::int64_t wanted = config_.sampling.temperature <= 0.0
                                  ? 1
                                  : (config_.sampling.top_k > 0 ? config_.sampling.top_k : kSampledCandidates);
  // Fixed candidate slots per row and rank, so that counts need no exchange: (logit, id) pairs, id as bits.
  const auto slots_of = [&](int rank) {
    const Range v = config_.group.stages.back().ranks[static_cast<std::size_t>(rank)].share.vocab;
    return std::min(wanted, v.size());
  };
  const auto rows = static_cast<std::int64_t>(input.logit_rows.size());
  const std::int64_t slots = slots_of(shard_.rank);
  std::vector<kernels::Candidate> best;
  if (slots > 0) model_->candidates(input, slots, best);
  timer_.start();
  std::vector<float> local;
  local.reserve(static_cast<std::size_t>(rows * slots * 2));
  for (const kernels::Candidate& c : best) {
    local.push_back(c.logit);
    local.push_back(std::bit_cast<float>(c.id));
  }
  std::vector<std::int64_t> counts;
  std::int64_t total = 0;
  for (int r = 0; r < tensor_group_->size(); ++r) {
    counts.push_back(rows * slots_of(r) * 2);
    total += counts.back();
  }
  std::vector<float> all(static_cast<std::size_t>(total));
  timer_.mark(OpFamily::kSample);
  tensor_group_->all_gather_v(local, all, counts);
  if (tensor_group_->size() > 1) timer_.mark(OpFamily::kCommunication);

  for (std::int64_t i = 0; i < rows; ++i) {
    std::vector<kernels::Candidate> merged;
    std::int64_t base = 0;
    for (int r = 0; r < tensor_group_->size(); ++r) {
      const std::int64_t n = slots_of(r);
      for (std::int64_t s = 0; s < n; ++s) {
        const auto at = static_cast<std::size_t>(base + (i * n + s) * 2);
        merged.push_back({all[at], std::bit_cast<std::int32_t>(all[at + 1])});
      }
      base += rows * n * 2;
    }
    std::sort(merged.begin(), merged.end(), [](const kernels::Candidate& a, const kernels::Candidate& b) {
      return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
    });
    if (static_cast<std::int64_t>(merged.size()) > wanted) merged.resize(static_cast<std::size_t>(wanted));
    const std::int64_t position = input.positions[static_cast<std::size_t>(
                                      input.logit_rows[static_cast<std::size_t>(i)])] + 1;
    ids.push_back(kernels::sample(merged, config_.sampling, input.logit_requests[static_cast<std::size_t>(i)],
                                  static_cast<std::uint64_t>(position)));
  }
  timer_.mark(OpFamily::kSample);
  return ids;
}

void RankWorker::start(const StepInput& input) {
  expected_ids_.push_back(input.logit_rows.size());
  std::vector<std::byte> payload;
  if (world_->size() > 1) {
    payload = encode(input);
    announce(Message::kStep, payload);
  }
  run_stage(input, payload);
}

std::vector<std::int32_t> RankWorker::wait() {
  const std::size_t expected = expected_ids_.front();
  expected_ids_.pop_front();
  if (stages_ == 1) {
    std::vector<std::int32_t> ids = std::move(local_results_.front());
    local_results_.pop_front();
    return ids;
  }
  std::vector<std::int32_t> ids(expected);
  const auto t0 = std::chrono::steady_clock::now();
  // A step without logits (all prompts mid-way) leaves no trace at the driver; the pipe keeps its order.
  if (expected > 0) world_->recv(std::as_writable_bytes(std::span(ids)), world_rank(config_.group, {stages_ - 1, 0}));
  step_wait_s_ += seconds_since(t0);
  return ids;
}

void RankWorker::loop() {
  const int source = is_first() ? 0 : world_rank(config_.group, {shard_.stage - 1, shard_.rank % ranks_in(shard_.stage - 1)});
  Communicator& from = is_first() ? *tensor_group_ : *world_;
  for (;;) {
    Header header{};
    const auto t0 = std::chrono::steady_clock::now();
    from.recv(bytes_of(header), source);
    step_wait_s_ += seconds_since(t0);
    std::vector<std::byte> payload(static_cast<std::size_t>(header.payload_bytes));
    if (!payload.empty()) from.recv(payload, source);
    switch (header.message) {
      case Message::kStep: {
        const StepInput input = decode(payload);
        if (!is_first()) {
          timer_.start();
          from.recv(std::as_writable_bytes(model_->incoming(input.rows())), source);
          timer_.mark(OpFamily::kCommunication);
        }
        run_stage(input, payload);
        break;
      }
      case Message::kReport: {
        forward(Message::kReport, {}, {});
        RankReport report = take_report();
        world_->send(bytes_of(report), 0);
        break;
      }
      case Message::kStop: forward(Message::kStop, {}, {}); return;
    }
  }
}

RankReport RankWorker::take_report() {
  RankReport report;
  report.stage = shard_.stage;
  report.rank = shard_.rank;
  report.threads = pool_.threads();
  for (std::size_t f = 0; f < kOpFamilies; ++f) {
    report.family_s[f] = timer_.total(static_cast<OpFamily>(f)).count();
  }
  report.comm_wait_s = tensor_group_->stats().wait_s;
  report.comm_transfer_s = tensor_group_->stats().transfer_s;
  report.step_wait_s = step_wait_s_;
  report.experts = model_->take_expert_use();
  report.weight_bytes = static_cast<double>(model_->weight_bytes());
  report.kv_bytes = static_cast<double>(model_->kv_bytes());
  report.scratch_bytes = static_cast<double>(model_->scratch_bytes());
  timer_.reset();
  tensor_group_->reset_stats();
  step_wait_s_ = 0.0;
  return report;
}

std::vector<RankReport> RankWorker::collect_reports() {
  announce(Message::kReport, {});
  forward(Message::kReport, {}, {});
  std::vector<RankReport> reports{take_report()};
  for (int r = 1; r < world_->size(); ++r) {
    RankReport report;
    world_->recv(bytes_of(report), r);
    reports.push_back(report);
  }
  return reports;
}

void RankWorker::stop() {
  announce(Message::kStop, {});
  forward(Message::kStop, {}, {});
}

void RankWorker::abort(const std::string& reason) {
  tensor_group_->abort(reason);
  world_->abort(reason);
}

}  // namespace lindos::exec
