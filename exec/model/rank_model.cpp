// SPDX-License-Identifier: Apache-2.0
#include "exec/model/rank_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "exec/model/broken_logits.h"
#include "exec/model/weight_type.h"
#include "kernels/elementwise.h"
#include "scenarios/shard_shape.h"

namespace lindos::exec {

namespace {

std::size_t floats(std::int64_t rows, std::int64_t width) {
  return static_cast<std::size_t>(rows * width) * sizeof(float);
}

}  // namespace

RankModel::RankModel(const Model& model, const GroupPlan& group, ShardId shard, const Checkpoint& checkpoint,
                     std::int64_t kv_blocks, std::int64_t host_blocks, std::int64_t max_positions, kernels::CpuPool& pool,
                     Communicator& tensor_group, OpTimer& timer)
    : model_(model),
      share_(group.stages.at(static_cast<std::size_t>(shard.stage))
                 .ranks.at(static_cast<std::size_t>(shard.rank))
                 .share),
      layer_range_(group.stages[static_cast<std::size_t>(shard.stage)].layers),
      first_stage_(shard.stage == 0),
      weight_dtype_(group.weight_dtype),
      weights_(model, group, shard, checkpoint),
      rope_(make_rope_table(model, max_positions)),
      kv_type_(weight_type_or_throw(group.kv_dtype, "KV dtype", "plan group " + group.name)),
      moe_(model, group.stages[static_cast<std::size_t>(shard.stage)], share_, group.limits.max_batched_tokens, pool, timer),
      pool_(&pool),
      comm_(&tensor_group),
      timer_(&timer) {
  kv_piece_bytes_ = static_cast<std::size_t>(share_.kv_heads.size() * model.head_dim * kernels::kPageTokens * bytes_of(kv_type_));
  kv_half_bytes_ = static_cast<std::size_t>(kv_blocks) * kv_piece_bytes_;
  kv_layer_bytes_ = 2 * kv_half_bytes_;
  kv_ = AlignedBuffer(kv_layer_bytes_ * static_cast<std::size_t>(layer_range_.size()));
  host_kv_ = AlignedBuffer(static_cast<std::size_t>(host_blocks * 2 * layer_range_.size()) * kv_piece_bytes_);

  const std::int64_t tokens = group.limits.max_batched_tokens;
  const std::int64_t d = model.head_dim;
  residual_ = AlignedBuffer(floats(tokens, model.hidden));
  normed_ = AlignedBuffer(floats(tokens, model.hidden));
  qkv_ = AlignedBuffer(floats(tokens, (share_.q_heads.size() + 2 * share_.kv_heads.size()) * d));
  attention_ = AlignedBuffer(floats(tokens, share_.q_heads.size() * d));
  const std::int64_t ffn = std::max(share_.ffn.size(), shared_columns(model, share_).size());
  gate_up_ = AlignedBuffer(floats(tokens, 2 * ffn));
  activated_ = AlignedBuffer(floats(tokens, ffn));
  partial_ = AlignedBuffer(floats(tokens, model.hidden));
  if (shard.stage + 1 == static_cast<int>(group.stages.size())) {
    logits_ = AlignedBuffer(floats(group.limits.max_sequences, share_.vocab.size()));
  }
}

std::size_t RankModel::scratch_bytes() const {
  return residual_.bytes() + normed_.bytes() + qkv_.bytes() + attention_.bytes() + gate_up_.bytes() +
         activated_.bytes() + partial_.bytes() + logits_.bytes() + moe_.scratch_bytes();
}

std::span<float> RankModel::residual(std::int64_t rows) {
  return {residual_.floats(), static_cast<std::size_t>(rows * model_.hidden)};
}

kernels::KvView RankModel::kv_view(std::int64_t local_layer) const {
  auto* base = static_cast<std::byte*>(kv_.data()) + kv_layer_bytes_ * static_cast<std::size_t>(local_layer);
  return {base, base + kv_half_bytes_, kv_type_, share_.kv_heads.size(), model_.head_dim};
}

void RankModel::copy_blocks(const StepInput& input) {
  if (input.copies.empty()) return;
  timer_->start();
  const kernels::KvMemories kv{static_cast<std::byte*>(kv_.data()), static_cast<std::byte*>(host_kv_.data()),
                               layer_range_.size(), kv_half_bytes_, kv_piece_bytes_};
  kernels::copy_kv_blocks(*pool_, kv, input.copies.data(), std::ssize(input.copies));
  timer_->mark(OpFamily::kKvCopy);
}

void RankModel::embed(const StepInput& input) {
  timer_->start();
  kernels::embedding(*pool_, weights_.embedding(), input.ids.data(), input.rows(), residual_.floats(),
                     model_.hidden);
  timer_->mark(OpFamily::kEmbedding);
}

void RankModel::layers(const StepInput& input) {
  timer_->start();
  for (std::int64_t l = 0; l < layer_range_.size(); ++l) {
    attention_block(input, l);
    ffn_block(input, l);
  }
}

void RankModel::attention_block(const StepInput& input, std::int64_t local_layer) {
  const LayerWeights& w = weights_.layers()[static_cast<std::size_t>(local_layer)];
  const std::int64_t rows = input.rows();
  const std::int64_t h = model_.hidden;
  const std::int64_t d = model_.head_dim;
  const std::int64_t q_heads = share_.q_heads.size();
  const std::int64_t kv_heads = share_.kv_heads.size();
  const std::int64_t width = (q_heads + 2 * kv_heads) * d;
  const auto n_slices = static_cast<std::int64_t>(input.slices.size());
  if (q_heads > 0) {
    const kernels::KvView kv = kv_view(local_layer);
    kernels::kv_prefetch(kv, input.slices.data(), n_slices);
    kernels::rmsnorm(*pool_, residual_.floats(), h, w.input_norm.data(), model_.rms_eps, rows, h,
                     normed_.floats(), h);
    timer_->mark(OpFamily::kElementwise);
    kernels::gemm(*pool_, w.qkv, normed_.floats(), h, rows, qkv_.floats(), width, false);
    timer_->mark(OpFamily::kQkv);

    float* q = qkv_.floats();
    float* k = q + q_heads * d;
    float* v = k + kv_heads * d;
    if (!w.qkv_bias.empty()) {
      kernels::bias_add(*pool_, q, width, w.qkv_bias.data(), rows, width);
    }
    if (!w.q_norm.empty()) {
      kernels::head_rmsnorm(*pool_, q, width, w.q_norm.data(), model_.rms_eps, rows, q_heads, d);
      kernels::head_rmsnorm(*pool_, k, width, w.k_norm.data(), model_.rms_eps, rows, kv_heads, d);
    }
    if (!w.qkv_bias.empty() || !w.q_norm.empty()) timer_->mark(OpFamily::kElementwise);
    // q and k heads are neighbours, so one call rotates both.
    kernels::rope(*pool_, q, width, rows, q_heads + kv_heads, d, input.positions.data(), rope_.cos.data(),
                  rope_.sin.data());
    kernels::kv_write(*pool_, kv, input.slices.data(), n_slices, k, width, v, width);
    kernels::AttentionShape shape;
    shape.q_heads = q_heads;
    shape.group = model_.group();
    shape.q_head_offset = share_.q_heads.begin - model_.group() * share_.kv_heads.begin;
    shape.scale = 1.0 / std::sqrt(static_cast<double>(d));
    const auto layer = static_cast<std::size_t>(layer_range_.begin + local_layer);
    shape.window = model_.sliding_window.empty() ? 0 : model_.sliding_window[layer];
    kernels::attention(*pool_, kv, shape, input.slices.data(), n_slices, q, width, attention_.floats(),
                       q_heads * d);
    timer_->mark(OpFamily::kAttention);
  }
  project(w.o, OpFamily::kO, attention_.floats(), rows, false);
  add_partial(w.o_bias, rows);
}

void RankModel::ffn_block(const StepInput& input, std::int64_t local_layer) {
  const LayerWeights& w = weights_.layers()[static_cast<std::size_t>(local_layer)];
  const std::int64_t rows = input.rows();
  const std::int64_t h = model_.hidden;
  if (w.moe || !share_.ffn.empty()) {
    kernels::rmsnorm(*pool_, residual_.floats(), h, w.post_norm.data(), model_.rms_eps, rows, h,
                     normed_.floats(), h);
    timer_->mark(OpFamily::kElementwise);
  }
  if (w.moe) {
    moe_.forward(*w.moe, normed_.floats(), rows, partial_.floats());
    ffn(w.moe->shared, {}, rows, true);
  } else {
    ffn(w.ffn, w.gate_up_bias, rows, false);
  }
  add_partial(w.down_bias, rows);
}

void RankModel::ffn(const FfnWeights& w, const std::vector<float>& gate_up_bias, std::int64_t rows, bool accumulate) {
  const std::int64_t h = model_.hidden;
  const std::int64_t f = w.down.k;
  if (f > 0) {
    kernels::gemm(*pool_, w.gate_up, normed_.floats(), h, rows, gate_up_.floats(), 2 * f, false);
    timer_->mark(OpFamily::kGateUp);
    if (!gate_up_bias.empty()) {
      kernels::bias_add(*pool_, gate_up_.floats(), 2 * f, gate_up_bias.data(), rows, 2 * f);
    }
    kernels::swiglu(*pool_, gate_up_.floats(), 2 * f, rows, f, activated_.floats(), f);
    timer_->mark(OpFamily::kElementwise);
  }
  project(w.down, OpFamily::kDown, activated_.floats(), rows, accumulate);
}

void RankModel::project(const kernels::PackedWeights& w, OpFamily family, const float* x, std::int64_t rows, bool accumulate) {
  const std::int64_t h = model_.hidden;
  if (w.k > 0) {
    kernels::gemm(*pool_, w, x, w.k, rows, partial_.floats(), h, accumulate);
  } else if (!accumulate) {
    // A rank without heads or columns adds zeros to the sum; it still takes part in it.
    std::memset(partial_.data(), 0, floats(rows, h));
  }
  timer_->mark(family);
}

void RankModel::add_partial(const std::vector<float>& bias, std::int64_t rows) {
  const std::int64_t h = model_.hidden;
  if (comm_->size() > 1) {
    comm_->all_reduce_sum({partial_.floats(), static_cast<std::size_t>(rows * h)});
    timer_->mark(OpFamily::kCommunication);
  }
  kernels::residual_add(*pool_, residual_.floats(), h, partial_.floats(), h, bias.empty() ? nullptr : bias.data(), rows, h);
  timer_->mark(OpFamily::kElementwise);
}

void RankModel::forward(const StepInput& input) {
  copy_blocks(input);
  if (first_stage_) embed(input);
  layers(input);
}

void RankModel::candidates(const StepInput& input, std::int64_t per_row, std::vector<kernels::Candidate>& out) {
  last_logits_ = logits(input);
  timer_->start();
  out.clear();
  const Range vocab = share_.vocab;
  const auto width = static_cast<std::size_t>(vocab.size());
  std::vector<kernels::Candidate> best;
  for (std::size_t i = 0; i < input.logit_rows.size(); ++i) {
    const std::span<const float> row = last_logits_.subspan(i * width, width);
    if (!std::all_of(row.begin(), row.end(), [](float logit) { return std::isfinite(logit); })) {
      throw broken_logits(input, i, weight_dtype_, "");
    }
    kernels::top_candidates(row.data(), vocab.size(),
                            static_cast<std::int32_t>(vocab.begin), per_row, best);
    out.insert(out.end(), best.begin(), best.end());
  }
  timer_->mark(OpFamily::kSample);
}

std::span<const float> RankModel::logits(const StepInput& input) {
  timer_->start();
  const std::int64_t h = model_.hidden;
  const auto wanted = static_cast<std::int64_t>(input.logit_rows.size());
  for (std::int64_t i = 0; i < wanted; ++i) {
    std::memcpy(partial_.floats() + i * h,
                residual_.floats() + input.logit_rows[static_cast<std::size_t>(i)] * h,
                static_cast<std::size_t>(h) * sizeof(float));
  }
  kernels::rmsnorm(*pool_, partial_.floats(), h, weights_.final_norm().data(), model_.rms_eps, wanted, h,
                   normed_.floats(), h);
  timer_->mark(OpFamily::kElementwise);
  const std::int64_t n = share_.vocab.size();
  if (n > 0) kernels::gemm(*pool_, weights_.lm_head(), normed_.floats(), h, wanted, logits_.floats(), n, false);
  timer_->mark(OpFamily::kLmHead);
  return {logits_.floats(), static_cast<std::size_t>(wanted * n)};
}

}  // namespace lindos::exec
