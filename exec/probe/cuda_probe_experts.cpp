// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "exec/cuda/moe_block.h"
#include "exec/probe/cuda_probe_parts.h"
#include "scenarios/shard_shape.h"

namespace lindos::exec {

namespace {

using cuda::Timed;
using kernels::cuda::Number;

constexpr int kReplays = 9;

}  // namespace

// Tokens and router are random, so that every expert is chosen equally often; matrices lie at another place at each visit.
void CudaProbeSession::experts_of(const GroupPlan& group, ShardId shard) {
  const Model& model = request_->model;
  const StagePlan& stage = group.stages[static_cast<std::size_t>(shard.stage)];
  const TensorShare& share = stage.ranks[static_cast<std::size_t>(shard.rank)].share;
  const std::int64_t held = share.experts.size();
  const std::int64_t columns = expert_columns(model, stage, share).size();
  if (held == 0 || columns == 0) return;
  const bool known = std::any_of(profile_->experts.begin(), profile_->experts.end(),
                                 [&](const ExpertSample& s) { return s.held == held && s.ffn == columns; });
  if (known) return;
  const double matrix = static_cast<double>(columns * model.hidden);
  const bool fp8 = group.weight_dtype == Dtype::kFp8;
  const double element = fp8 ? 1.0 : sizeof(Number);
  const double router_bytes = static_cast<double>(model.moe.experts * model.hidden) * sizeof(Number);
  const auto weights = [&](std::int64_t visit) {
    cuda::DeviceExperts w;
    w.router = {element_, cold(visit, router_bytes), model.moe.experts, model.hidden, nullptr};
    const cuda::DeviceMatrix all = cold_matrix({GemmSite::kNone, 3 * held * columns, model.hidden, 1, true, fp8}, visit);
    // Shapes aside, `down` is what lies behind.
    w.gate_up = all.rows(0, 2 * held * columns);
    w.down = all.rows(2 * held * columns, held * columns);
    w.down.n = held * model.hidden;
    w.down.k = columns;
    return w;
  };
  const std::int64_t most = group.limits.max_batched_tokens;
  cuda::MoeBlock block(model, group, stage, share, std::max(most, cuda::graph_bucket(group.limits.max_sequences)));
  const bool alone = stage.ranks.size() == 1;
  const cuda::DeviceBuffer normed(static_cast<std::size_t>(most * model.hidden) * sizeof(Number));
  for (const GemmRows& rows : gemm_rows(most)) {
    report("experts", done_);
    if (rows.run > most) continue;
    cuda::MoeStep step;
    step.rows = rows.run;
    step.x = x_.as<Number>();
    step.norm = vector_.as<Number>();
    step.normed = normed.as<Number>();
    step.mark = [](OpFamily) {};
    const auto launch = [&](int i) { return kernels::cuda::Launch{stream_.get(), alone && rows.run <= kernels::cuda::kFewTokens && i > 0}; };
    block.tune(weights(0), x_.as<Number>(), rows.run, products_, stream_.get());
    const double pairs = static_cast<double>(rows.run) * model.moe.top_k * static_cast<double>(held) / model.moe.experts;
    const double hit = std::min(static_cast<double>(held), pairs);
    const Timed route = cuda::time_launches(
        stream_, launches_of(estimate(0.0, 0.0)),
        [&](int i) {
          step.launch = launch(i);
          block.choose(weights(i), step, products_);
        },
        kReplays);
    const Timed t = cuda::time_launches(
        stream_, launches_of(estimate(3.0 * hit * matrix * element, 6.0 * pairs * matrix)),
        [&](int i) {
          step.launch = launch(i);
          const cuda::DeviceExperts w = weights(i);
          block.activate(w, step);
          block.sum(w, step, y_.as<Number>(), alone);
        },
        kReplays);
    cuda::check_launch("experts");
    for (const std::int64_t m : rows.sampled) {
      profile_->experts.push_back({fp8 ? Dtype::kFp8 : request_->dtype, m, model.hidden, columns, model.moe.top_k, model.moe.experts, held, Seconds{t.median_s}, t.spread});
      for (const Op& op : step_ops(model, group, shard, {{0, m, true}})) {
        if (op.kind != OpKind::kMoeRoute) continue;
        profile_->stream.push_back({name_of(op.kind), op.bytes(), 1, 1, Seconds{route.median_s}, route.spread});
        break;
      }
    }
  }
}

void CudaProbeSession::experts(const GroupPlan& group) {
  if (!request_->model.is_moe()) return;
  for (std::size_t stage = 0; stage < group.stages.size(); ++stage) {
    for (std::size_t rank = 0; rank < group.stages[stage].ranks.size(); ++rank) {
      experts_of(group, {static_cast<int>(stage), static_cast<int>(rank)});
    }
  }
}

}  // namespace lindos::exec
