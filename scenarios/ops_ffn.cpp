// SPDX-License-Identifier: Apache-2.0
// Ops of the FFN half of a layer: dense SwiGLU, or routed and shared experts.
#include <algorithm>
#include <cmath>
#include <cstddef>

#include "scenarios/ops_builder.h"

namespace lindos {
namespace {

// Reads gate and up (or up alone), writes their product (or the function of it).
Op& activation(StepBuilder& step, double rows, double width) {
  const int inputs = step.model.ffn_inputs();
  Op& op = step.add(OpKind::kActivation, (inputs + 1.0) * rows * width);
  step.keep(op, inputs * rows * width, step.bytes.activation);
  return op;
}

// gate|up (or up), activation and down over `width` local columns. `kept_rows` of the input in training.
void dense(StepBuilder& step, std::int64_t width, bool bias, double kept_rows) {
  if (width == 0) return;
  const auto tokens = static_cast<std::int64_t>(step.tokens);
  const int inputs = step.model.ffn_inputs();
  step.gemm(GemmSite::kGateUp, tokens, inputs * width, step.model.hidden,
            bias ? inputs * static_cast<double>(width) : 0.0, kept_rows);
  activation(step, step.tokens, static_cast<double>(width)).tokens = tokens;
  step.gemm(GemmSite::kDown, tokens, step.model.hidden, width);
}

void route(StepBuilder& step) {
  const Moe& moe = step.model.moe;
  const double rows = step.own_tokens();
  Op& op = step.add(OpKind::kMoeRoute, rows * static_cast<double>(step.model.hidden));
  op.activation_bytes += Bytes{rows * moe.experts * bytes_of(Dtype::kF32)};  // scores
  step.keep(op, rows * static_cast<double>(step.model.hidden), step.bytes.activation);
  step.keep(op, rows * moe.experts, bytes_of(Dtype::kF32));
  op.site = GemmSite::kRouter;
  op.m = op.tokens = static_cast<std::int64_t>(rows);
  op.n = moe.experts;
  op.k = step.model.hidden;
  const double scores = static_cast<double>(op.n) * static_cast<double>(op.k);
  op.flop = Flop{2.0 * rows * scores};
  op.weight_bytes =
      Bytes{(scores + (step.model.mlp_bias ? moe.experts : 0.0)) * step.bytes.side};
}

// Between the ranks that deal the experts out, where they have tokens of their own: other replicas, or the ranks of the stage
// under sequence parallelism. Else every rank of the stage has all tokens, and the sum that follows brings the parts together.
void all_to_all(StepBuilder& step) {
  const bool own_tokens = step.expert_ranks() > 1 || (step.training && step.training->sequence_parallel);
  if (!own_tokens) return;
  const auto stage_ranks = static_cast<double>(step.shape.ranks);
  const double dealt = step.shape.expert_parallel ? stage_ranks : 1.0;
  const double group = dealt * static_cast<double>(step.expert_ranks());
  if (group == 1.0) return;
  // Every rank hands on its part of the tokens, once per chosen expert. Ranks that hold columns of the same
  // experts hand on all of theirs.
  const double part = step.shape.expert_parallel ? step.tokens / stage_ranks : step.own_tokens();
  const double rows = part * step.model.moe.top_k;
  Op& op = step.add(OpKind::kAllToAll, 0.0);
  op.group = static_cast<int>(group);
  op.tokens = static_cast<std::int64_t>(step.tokens);
  op.message_bytes =
      Bytes{rows * static_cast<double>(step.model.hidden) * step.bytes.activation};
}

void routed(StepBuilder& step) {
  const Model& model = step.model;
  const auto width = static_cast<double>(step.shape.expert_ffn);
  const auto hidden = static_cast<double>(model.hidden);
  if (step.shape.experts == 0 || step.shape.expert_ffn == 0) return;
  const ExpertLoad load = expert_load(
      model.moe, step.experts, static_cast<std::int64_t>(step.tokens) * step.expert_ranks(),
      step.options.expert_skew);
  const double inputs = model.ffn_inputs();
  const double kept = std::min(step.bytes.weight, step.bytes.activation);
  const auto grouped = [&](GemmSite site, double n, double k, double activations, double bias) {
    Op& op = step.add(OpKind::kMoeGemm, activations);
    op.site = site;
    op.m = std::llround(load.pairs);
    op.n = static_cast<std::int64_t>(n);
    op.k = static_cast<std::int64_t>(k);
    op.experts_hit = std::llround(std::ceil(load.hit - 1e-9));
    op.experts = step.experts.size();
    op.tokens = static_cast<std::int64_t>(step.tokens);
    op.flop = Flop{2.0 * load.pairs * n * k};
    op.weight_bytes =
        Bytes{load.hit * (n * k * step.bytes.weight + bias * step.bytes.side)};
    step.keep(op, load.pairs * k, kept);
  };
  grouped(GemmSite::kGateUp, inputs * width, hidden, load.pairs * (hidden + inputs * width),
          model.mlp_bias ? inputs * width : 0.0);
  Op& between = activation(step, load.pairs, width);
  between.tokens = std::llround(load.pairs);
  between.experts = step.experts.size();
  // Rows are written once per pair and read again by the weighted sum, which writes one row per token.
  grouped(GemmSite::kDown, hidden, width,
          load.pairs * (width + 2.0 * hidden) + step.tokens * hidden,
          model.mlp_bias && step.shape.holds_first_expert_column ? hidden : 0.0);
}

// Under sequence parallelism ranks dispatch rows of their own tokens; those that hold columns of the same experts
// gather each other's rows and scatter the sums (Megatron Core's all-to-all dispatcher). Shared experts gather
// and scatter by themselves.
void scattered_experts(StepBuilder& step) {
  const bool columns = step.shape.ranks > 1 && !step.shape.expert_parallel;
  const double rows = step.tokens * step.model.moe.top_k;
  const auto among_columns = [&](OpKind kind) {
    if (!columns) return;
    Op& op = step.add(kind, 0.0);
    op.group = static_cast<int>(step.shape.ranks);
    op.tokens = static_cast<std::int64_t>(step.tokens);
    op.message_bytes =
        Bytes{rows * static_cast<double>(step.model.hidden) * step.bytes.activation};
  };
  all_to_all(step);
  among_columns(OpKind::kAllGather);
  routed(step);
  among_columns(OpKind::kReduceScatter);
  all_to_all(step);
  if (step.model.moe.shared_ffn == 0) return;
  step.enter_tensor_parallel(static_cast<double>(step.model.hidden));
  // Its input is the router's, which is kept already.
  dense(step, step.shape.shared_ffn, false, 0.0);
  step.leave_tensor_parallel();
}

}  // namespace

// Popularity x(u), u spread evenly in [0, 1): inverse transform of a power law with exponent `skew` between 1 and the number
// of experts (modelling handbook 7.2; the upper end is our assumption: with 1.2 it gives the top fifth of 128 experts 69 % of
// the load, published about 65 %). The golden-ratio sequence orders hot and cold experts.
std::vector<double> expert_shares(const Moe& moe, double skew) {
  const auto experts = static_cast<double>(moe.experts);
  if (skew == 0.0) return std::vector<double>(static_cast<std::size_t>(moe.experts), 1.0 / experts);
  std::vector<double> shares;
  double all = 0.0;
  for (std::int64_t expert = 0; expert < moe.experts; ++expert) {
    constexpr double kGoldenRatio = 0.6180339887498949;
    const double turns = (static_cast<double>(expert) + 0.5) * kGoldenRatio;
    const double u = turns - std::floor(turns);
    const double power = 1.0 - skew;
    shares.push_back(std::abs(power) < 1e-9 ? std::pow(experts, u)
                                            : std::pow((std::pow(experts, power) - 1.0) * u + 1.0, 1.0 / power));
    all += shares.back();
  }
  for (double& share : shares) share /= all;
  return shares;
}

ExpertLoad expert_load(const Moe& moe, const Range& local, std::int64_t tokens, double skew) {
  const auto experts = static_cast<double>(moe.experts);
  const auto draws = static_cast<double>(tokens);
  if (skew == 0.0) {
    const double share = moe.top_k / experts;  // that a token picks a given expert
    const auto here = static_cast<double>(local.size());
    return {draws * share * here, here * (1.0 - std::pow(1.0 - share, draws))};
  }
  const std::vector<double> shares = expert_shares(moe, skew);
  ExpertLoad load;
  for (std::int64_t e = local.begin; e < local.end; ++e) {
    const double share = moe.top_k * shares[static_cast<std::size_t>(e)];
    load.pairs += draws * share;
    load.hit += 1.0 - std::pow(1.0 - std::min(1.0, share), draws);
  }
  return load;
}

void StepBuilder::ffn_layer() {
  const auto hidden = static_cast<double>(model.hidden);
  norm(own_tokens(), hidden, hidden);
  if (model.is_moe_layer(layer)) {
    route(*this);
    if (training && training->sequence_parallel) {
      scattered_experts(*this);
    } else {
      enter_tensor_parallel(hidden);
      all_to_all(*this);
      routed(*this);
      all_to_all(*this);
      dense(*this, shape.shared_ffn, false, 0.0);
      leave_tensor_parallel();
    }
    residual(0.0);
  } else {
    enter_tensor_parallel(hidden);
    dense(*this, shape.ffn, model.mlp_bias, own_tokens());
    leave_tensor_parallel();
    residual(model.mlp_bias ? hidden : 0.0);
  }
}

}  // namespace lindos
