// SPDX-License-Identifier: Apache-2.0
#include "exec/cuda/device_weights.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "exec/checkpoint/float_format.h"
#include "exec/checkpoint/moe_names.h"
#include "exec/model/rank_weights.h"
#include "kernels/cuda/attention.h"
#include "kernels/cuda/elementwise.h"
#include "kernels/cuda/moe.h"
#include "kernels/cuda/quantise.h"
#include "scenarios/error.h"
#include "scenarios/shard_shape.h"

namespace lindos::exec::cuda {

namespace {

Range scaled(Range r, std::int64_t by) { return {r.begin * by, r.end * by}; }

// Why the kernels cannot run the model's experts; empty: they can.
std::string unsupported_moe(const Model& model, const GroupPlan& group) {
  const Moe& moe = model.moe;
  if (!model.is_moe()) return {};
  const std::int64_t multiple = group.weight_dtype == Dtype::kFp8 ? 16 : 8;
  if (moe.experts > kernels::cuda::kMostExperts || moe.experts % 8 != 0) {
    return std::to_string(moe.experts) + " experts (multiples of 8 up to " + std::to_string(kernels::cuda::kMostExperts) + " are supported)";
  }
  if (moe.top_k > kernels::cuda::kMostTopK) {
    return std::to_string(moe.top_k) + " experts per token (up to " + std::to_string(kernels::cuda::kMostTopK) + " are supported)";
  }
  for (const StagePlan& stage : group.stages) {
    for (const RankPlan& rank : stage.ranks) {
      for (const std::int64_t columns : {expert_columns(model, stage, rank.share).size(), shared_columns(model, rank.share).size()}) {
        if (columns % multiple == 0) continue;
        return "a share of " + std::to_string(columns) + " columns of an expert (multiples of " + std::to_string(multiple) +
               (multiple > 8 ? " are supported with fp8)" : " are supported)");
      }
    }
  }
  return {};
}

}  // namespace

Element element_of(const GroupPlan& group) {
  return group.activation_dtype == Dtype::kF16 ? Element::kF16 : Element::kBf16;
}

Dtype dtype_of(Element element) {
  return element == Element::kF16 ? Dtype::kF16 : Dtype::kBf16;
}

bool executable_on_cuda(const Model& model, const GroupPlan& group, std::string& reason) {
  if (!executable(model, reason)) return false;
  const auto named = [](Dtype dtype) { return std::string(name_of(dtype)); };
  const bool fp8 = group.weight_dtype == Dtype::kFp8;
  const Dtype wide = fp8 ? Dtype::kBf16 : group.weight_dtype;
  if ((wide != Dtype::kBf16 && wide != Dtype::kF16) || group.kv_dtype != wide || group.activation_dtype != wide) {
    reason = "weights in " + named(group.weight_dtype) + ", KV in " + named(group.kv_dtype) + ", activations in " +
             named(group.activation_dtype) + " (all three in bf16 or all in f16, or weights in fp8 and the rest in bf16 is supported)";
  } else if (model.head_dim != 64 && model.head_dim != 128) {
    reason = "head_dim " + std::to_string(model.head_dim) + " (64 and 128 are supported)";
  } else if (model.group() > kernels::cuda::kLargestGroup) {
    reason = std::to_string(model.group()) + " query heads per KV head (up to " +
             std::to_string(kernels::cuda::kLargestGroup) + " are supported)";
  } else if (model.hidden % (fp8 ? 16 : 8) != 0) {
    reason = "hidden size " + std::to_string(model.hidden) + " (multiples of " + (fp8 ? "16 are supported with fp8" : "8 are supported") + ")";
  } else if (group.limits.block_tokens != kernels::cuda::kDevicePageTokens) {
    reason = "block_tokens " + std::to_string(group.limits.block_tokens) + "; its pages hold " +
             std::to_string(kernels::cuda::kDevicePageTokens);
  } else {
    for (const StagePlan& stage : group.stages) {
      for (const RankPlan& rank : stage.ranks) {
        if (rank.share.ffn.size() % (fp8 ? 16 : 8) == 0) continue;
        reason = "an FFN share of " + std::to_string(rank.share.ffn.size()) + " columns (multiples of " +
                 (fp8 ? "16 are supported with fp8" : "8 are supported") + ")";
        return false;
      }
    }
    reason = unsupported_moe(model, group);
    return reason.empty();
  }
  return false;
}

DeviceWeights::DeviceWeights(const Model& model, const GroupPlan& group, ShardId shard, const Checkpoint& checkpoint,
                             const Stream& stream)
    : checkpoint_(&checkpoint), stream_(&stream), element_(element_of(group)), fp8_(group.weight_dtype == Dtype::kFp8) {
  const StagePlan& stage = group.stages.at(static_cast<std::size_t>(shard.stage));
  const TensorShare& share = stage.ranks.at(static_cast<std::size_t>(shard.rank)).share;
  const std::int64_t d = model.head_dim;
  const Range q = scaled(share.q_heads, d);
  const Range kv = scaled(share.kv_heads, d);
  const Range hidden{0, model.hidden};
  const Range head{0, d};
  const Range one{0, 1};
  for (std::int64_t l = stage.layers.begin; l < stage.layers.end; ++l) {
    const std::string prefix = "model.layers." + std::to_string(l) + ".";
    const std::string attn = prefix + "self_attn.";
    const std::string mlp = prefix + "mlp.";
    DeviceLayer w;
    w.input_norm = vector({{prefix + "input_layernorm.weight", one, hidden}});
    w.post_norm = vector({{prefix + "post_attention_layernorm.weight", one, hidden}});
    if (model.qk_norm) {
      w.q_norm = vector({{attn + "q_norm.weight", one, head}});
      w.k_norm = vector({{attn + "k_norm.weight", one, head}});
    }
    w.qkv = projection({{attn + "q_proj.weight", q, hidden}, {attn + "k_proj.weight", kv, hidden}, {attn + "v_proj.weight", kv, hidden}});
    if (model.qkv_bias) {
      w.qkv_bias = vector({{attn + "q_proj.bias", one, q}, {attn + "k_proj.bias", one, kv}, {attn + "v_proj.bias", one, kv}});
    }
    w.o = projection({{attn + "o_proj.weight", hidden, q}});
    if (model.o_bias) w.o_bias = vector({{attn + "o_proj.bias", one, hidden}});
    if (model.is_moe_layer(l)) {
      w.experts = experts(model, stage, share, l);
      if (model.moe.shared_ffn > 0) {
        const FfnNames shared = moe_names(model, l).shared;
        const Range columns = shared_columns(model, share);
        w.gate_up = projection({{shared.gate, columns, hidden}, {shared.up, columns, hidden}});
        w.down = projection({{shared.down, hidden, columns}});
      }
      layers_.push_back(w);
      continue;
    }
    w.gate_up = projection({{mlp + "gate_proj.weight", share.ffn, hidden}, {mlp + "up_proj.weight", share.ffn, hidden}});
    w.down = projection({{mlp + "down_proj.weight", hidden, share.ffn}});
    if (model.mlp_bias) {
      w.gate_up_bias = vector({{mlp + "gate_proj.bias", one, share.ffn}, {mlp + "up_proj.bias", one, share.ffn}});
      w.down_bias = vector({{mlp + "down_proj.bias", one, hidden}});
    }
    layers_.push_back(w);
  }
  const bool first = shard.stage == 0;
  const bool last = shard.stage + 1 == static_cast<int>(group.stages.size());
  constexpr const char* kTable = "model.embed_tokens.weight";
  if (first) embedding_ = matrix({{kTable, {0, model.vocab}, hidden}});
  if (last) {
    final_norm_ = vector({{"model.norm.weight", one, hidden}});
    if (model.tied_embeddings && first) {
      lm_head_ = embedding_.rows(share.vocab.begin, share.vocab.size());
    } else {
      lm_head_ = matrix({{model.tied_embeddings ? kTable : "lm_head.weight", share.vocab, hidden}});
    }
  }
  stream_->synchronise("loading of weights");
}

DeviceExperts DeviceWeights::experts(const Model& model, const StagePlan& stage, const TensorShare& share, std::int64_t layer) {
  const MoeNames names = moe_names(model, layer);
  const Range hidden{0, model.hidden};
  const Range columns = expert_columns(model, stage, share);
  DeviceExperts w;
  w.router = matrix({{names.router, {0, model.moe.experts}, hidden}});
  std::vector<Part> gate_up;
  std::vector<Part> down;
  for (std::int64_t e = share.experts.begin; e < share.experts.end; ++e) {
    const FfnNames& expert = names.experts[static_cast<std::size_t>(e)];
    gate_up.push_back({expert.gate, columns, hidden});
    gate_up.push_back({expert.up, columns, hidden});
    down.push_back({expert.down, hidden, columns});
  }
  if (gate_up.empty()) return w;
  w.gate_up = projection(gate_up);
  w.down = projection(down);
  return w;
}

DeviceMatrix DeviceWeights::matrix(const std::vector<Part>& parts) {
  std::int64_t rows = 0;
  const std::int64_t cols = parts.front().cols.size();
  for (const Part& part : parts) rows += part.rows.size();
  buffers_.emplace_back(static_cast<std::size_t>(rows * cols) * sizeof(Number));
  bytes_ += buffers_.back().bytes();
  auto* data = buffers_.back().as<Number>();
  std::int64_t row = 0;
  for (const Part& part : parts) {
    load(part, data + row * cols);
    row += part.rows.size();
  }
  return {element_, data, rows, cols};
}

DeviceMatrix DeviceWeights::projection(const std::vector<Part>& parts) {
  const DeviceMatrix wide = matrix(parts);
  if (!fp8_ || wide.n * wide.k == 0) return wide;
  // The copy in bf16 lasts until its quantised one is made.
  const DeviceBuffer unquantised = std::move(buffers_.back());
  bytes_ -= unquantised.bytes();
  buffers_.back() = DeviceBuffer(static_cast<std::size_t>(wide.n * wide.k));
  bytes_ += buffers_.back().bytes();
  auto* data = buffers_.back().as<std::uint8_t>();
  buffers_.emplace_back(static_cast<std::size_t>(wide.n) * sizeof(float));
  bytes_ += buffers_.back().bytes();
  auto* scales = buffers_.back().as<float>();
  kernels::cuda::QuantiseRows q;
  q.x = wide.numbers();
  q.rows = wide.n;
  q.k = wide.k;
  q.y = data;
  q.scales = scales;
  kernels::cuda::quantise_rows(q, {stream_->get(), false});
  check_launch("quantisation of weights");
  stream_->synchronise("quantisation of weights");
  return {element_, data, wide.n, wide.k, scales};
}

const Number* DeviceWeights::vector(const std::vector<Part>& parts) {
  std::int64_t size = 0;
  for (const Part& part : parts) size += part.cols.size();
  buffers_.emplace_back(static_cast<std::size_t>(size) * sizeof(Number));
  bytes_ += buffers_.back().bytes();
  auto* data = buffers_.back().as<Number>();
  std::int64_t at = 0;
  for (const Part& part : parts) {
    load(part, data + at);
    at += part.cols.size();
  }
  return size > 0 ? data : nullptr;
}

void DeviceWeights::load(const Part& part, Number* destination) {
  const std::int64_t cols = part.cols.size();
  if (part.rows.size() * cols == 0) return;
  if (const std::optional<SyntheticRule> rule = checkpoint_->synthetic(part.name)) {
    kernels::cuda::fill_synthetic(element_, destination, rule->key, rule->scale, part.rows.begin, part.rows.size(), rule->row_length,
                                  part.cols.begin, cols, {stream_->get(), false});
    check_launch("making of synthetic weights");
    return;
  }
  // By bands, so that the f32 copy of a large matrix never exists whole.
  const std::int64_t band = std::max<std::int64_t>(1, (std::int64_t{16} << 20) / cols);
  std::vector<float> values;
  std::vector<Number> rounded;
  for (std::int64_t r = part.rows.begin; r < part.rows.end; r += band) {
    const std::int64_t end = std::min(part.rows.end, r + band);
    const auto count = static_cast<std::size_t>((end - r) * cols);
    values.resize(count);
    rounded.resize(count);
    checkpoint_->read(part.name, r, end, part.cols.begin, part.cols.end, values);
    require_range(values, dtype_of(element_), checkpoint_->description() + ": /" + part.name);
    for (std::size_t i = 0; i < count; ++i) rounded[i] = to_number(element_, values[i]);
    check(cudaMemcpyAsync(destination + (r - part.rows.begin) * cols, rounded.data(), count * sizeof(Number),
                          cudaMemcpyHostToDevice, stream_->get()),
          "copy of weights");
    stream_->synchronise("copy of weights");
  }
}

}  // namespace lindos::exec::cuda
