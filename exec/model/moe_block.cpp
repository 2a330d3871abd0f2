// SPDX-License-Identifier: Apache-2.0
#include "exec/model/moe_block.h"

#include <algorithm>

#include "kernels/elementwise.h"
#include "scenarios/shard_shape.h"

namespace lindos::exec {
namespace {

AlignedBuffer floats(std::int64_t rows, std::int64_t width) {
  return AlignedBuffer(static_cast<std::size_t>(rows * width) * sizeof(float));
}

}  // namespace

MoeBlock::MoeBlock(const Model& model, const StagePlan& stage, const TensorShare& share, std::int64_t tokens,
                   kernels::CpuPool& pool, OpTimer& timer)
    : moe_(model.moe),
      hidden_(model.hidden),
      held_(share.experts),
      ffn_(model.is_moe() ? expert_columns(model, stage, share).size() : 0),
      pool_(&pool),
      timer_(&timer) {
  if (!model.is_moe()) return;
  scores_ = floats(tokens, moe_.experts);
  ids_.resize(static_cast<std::size_t>(tokens * moe_.top_k));
  mix_.resize(ids_.size());
  rows_.reserve(tokens, moe_.top_k, held_.size());
  const std::int64_t pairs = tokens * std::min<std::int64_t>(moe_.top_k, held_.size());
  in_ = floats(pairs, hidden_);
  gate_up_ = floats(pairs, 2 * ffn_);
  activated_ = floats(pairs, ffn_);
  out_ = floats(pairs, hidden_);
}

std::size_t MoeBlock::scratch_bytes() const {
  return scores_.bytes() + ids_.capacity() * sizeof(ids_[0]) + mix_.capacity() * sizeof(mix_[0]) + rows_.bytes() +
         in_.bytes() + gate_up_.bytes() + activated_.bytes() + out_.bytes();
}

void MoeBlock::forward(const MoeWeights& weights, const float* x, std::int64_t rows, float* out) {
  kernels::gemm(*pool_, weights.router, x, hidden_, rows, scores_.floats(), moe_.experts, false);
  kernels::route(*pool_, scores_.floats(), moe_.experts, rows, moe_.experts, moe_.top_k, moe_.normalise_top_k, ids_.data(),
                 mix_.data());
  // A rank without columns of its experts has nothing to add.
  const std::int64_t held = ffn_ > 0 ? held_.size() : 0;
  kernels::group_by_expert(ids_.data(), rows, moe_.top_k, held_.begin, held, rows_);
  kernels::gather_rows(*pool_, rows_, x, hidden_, hidden_, in_.floats());
  use_.pairs += rows_.pairs();
  for (std::size_t e = 1; e < rows_.first.size(); ++e) use_.read += rows_.first[e] > rows_.first[e - 1] ? 1 : 0;
  timer_->mark(OpFamily::kRoute);

  const auto each_hit = [&](auto multiply) {
    for (std::int64_t e = 0; e < held; ++e) {
      const std::int64_t first = rows_.first[static_cast<std::size_t>(e)];
      const std::int64_t count = rows_.first[static_cast<std::size_t>(e + 1)] - first;
      if (count > 0) multiply(weights.experts[static_cast<std::size_t>(e)], first, count);
    }
  };
  each_hit([&](const FfnWeights& w, std::int64_t first, std::int64_t count) {
    kernels::gemm(*pool_, w.gate_up, in_.floats() + first * hidden_, hidden_, count, gate_up_.floats() + first * 2 * ffn_,
                  2 * ffn_, false);
  });
  timer_->mark(OpFamily::kGateUp);
  kernels::swiglu(*pool_, gate_up_.floats(), 2 * ffn_, rows_.pairs(), ffn_, activated_.floats(), ffn_);
  timer_->mark(OpFamily::kElementwise);
  each_hit([&](const FfnWeights& w, std::int64_t first, std::int64_t count) {
    kernels::gemm(*pool_, w.down, activated_.floats() + first * ffn_, ffn_, count, out_.floats() + first * hidden_, hidden_,
                  false);
  });
  kernels::combine_rows(*pool_, rows_, mix_.data(), rows, moe_.top_k, out_.floats(), hidden_, out, hidden_);
  timer_->mark(OpFamily::kDown);
}

}  // namespace lindos::exec
