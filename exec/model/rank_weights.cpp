// SPDX-License-Identifier: Apache-2.0
#include "exec/model/rank_weights.h"

#include <algorithm>
#include <string>

#include "exec/checkpoint/float_format.h"
#include "exec/model/weight_type.h"
#include "scenarios/error.h"
#include "scenarios/shard_shape.h"

namespace lindos::exec {

namespace {

// What a matrix in `dtype` is made of.
std::vector<float> read_block(const Checkpoint& checkpoint, Dtype dtype, const std::string& name, Range rows, Range cols) {
  std::vector<float> out(static_cast<std::size_t>(rows.size() * cols.size()));
  if (!out.empty()) checkpoint.read(name, rows.begin, rows.end, cols.begin, cols.end, out);
  require_range(out, dtype, checkpoint.description() + ": /" + name);
  return out;
}

std::vector<float> read_vector(const Checkpoint& checkpoint, const std::string& name, Range part) {
  std::vector<float> out(static_cast<std::size_t>(part.size()));
  if (!out.empty()) checkpoint.read(name, 0, 1, part.begin, part.end, out);
  return out;
}

void append(std::vector<float>& all, const std::vector<float>& more) {
  all.insert(all.end(), more.begin(), more.end());
}

Range times(Range r, std::int64_t by) { return {r.begin * by, r.end * by}; }

}  // namespace

bool executable(const Model& model, std::string& reason) {
  if (const auto experts = unsupported_experts(model)) {
    reason = *experts;
  } else if (model.is_mla()) {
    reason = "multi-head latent attention";
  } else if (model.attention_sinks) {
    reason = "attention sinks";
  } else if (!model.gated_ffn) {
    reason = "an FFN without a gate";
  } else if (model.learned_positions) {
    reason = "learned positions";
  } else if (model.head_dim % 8 != 0) {
    reason = "head_dim " + std::to_string(model.head_dim) + " (multiples of 8 are supported)";
  } else {
    return true;
  }
  return false;
}

kernels::PackedWeights RankWeights::pack_rows(const std::vector<float>& rows, std::int64_t n,
                                              std::int64_t k) {
  const std::size_t size = kernels::packed_bytes(type_, n, k);
  void* place = arena_.allocate(size);
  if (n > 0) kernels::pack_weights(type_, n, k, 0, n, rows.data(), place);
  bytes_ += size;
  return {place, type_, n, k};
}

FfnWeights RankWeights::read_ffn(const Checkpoint& checkpoint, const FfnNames& names, Range columns, std::int64_t hidden) {
  std::vector<float> rows = read_block(checkpoint, dtype_, names.gate, columns, {0, hidden});
  append(rows, read_block(checkpoint, dtype_, names.up, columns, {0, hidden}));
  FfnWeights ffn;
  ffn.gate_up = pack_rows(rows, 2 * columns.size(), hidden);
  ffn.down = pack_rows(read_block(checkpoint, dtype_, names.down, {0, hidden}, columns), hidden, columns.size());
  return ffn;
}

MoeWeights RankWeights::read_moe(const Checkpoint& checkpoint, const Model& model, const StagePlan& stage,
                                 const TensorShare& share, std::int64_t layer) {
  const MoeNames names = moe_names(model, layer);
  const Range experts{0, model.moe.experts};
  MoeWeights moe;
  moe.router = pack_rows(read_block(checkpoint, dtype_, names.router, experts, {0, model.hidden}), experts.size(), model.hidden);
  const Range columns = expert_columns(model, stage, share);
  for (std::int64_t e = share.experts.begin; e < share.experts.end; ++e) {
    moe.experts.push_back(read_ffn(checkpoint, names.experts[static_cast<std::size_t>(e)], columns, model.hidden));
  }
  if (model.moe.shared_ffn > 0) {
    moe.shared = read_ffn(checkpoint, names.shared, shared_columns(model, share), model.hidden);
  }
  return moe;
}

RankWeights::RankWeights(const Model& model, const GroupPlan& group, ShardId shard,
                         const Checkpoint& checkpoint) {
  std::string reason;
  if (!executable(model, reason)) {
    throw Error(ErrorKind::kInput, "model " + model.name,
                "the CPU engine cannot run " + reason + " yet; `predict` can price it");
  }
  dtype_ = group.weight_dtype;
  type_ = weight_type_or_throw(group.weight_dtype, "weight dtype", "plan group " + group.name);

  const StagePlan& stage = group.stages.at(static_cast<std::size_t>(shard.stage));
  const TensorShare& share = stage.ranks.at(static_cast<std::size_t>(shard.rank)).share;
  const std::int64_t d = model.head_dim;
  const Range q = times(share.q_heads, d);
  const Range kv = times(share.kv_heads, d);
  const Range hidden{0, model.hidden};
  const Range head{0, d};
  const std::int64_t qkv_rows = q.size() + 2 * kv.size();
  const auto count_vector = [this](const std::vector<float>& v) {
    bytes_ += v.size() * sizeof(float);
    return v;
  };

  for (std::int64_t l = stage.layers.begin; l < stage.layers.end; ++l) {
    const std::string prefix = "model.layers." + std::to_string(l) + ".";
    const std::string attn = prefix + "self_attn.";
    const std::string mlp = prefix + "mlp.";
    LayerWeights w;
    w.input_norm = count_vector(read_vector(checkpoint, prefix + "input_layernorm.weight", hidden));
    w.post_norm = count_vector(read_vector(checkpoint, prefix + "post_attention_layernorm.weight", hidden));
    if (model.qk_norm) {
      w.q_norm = count_vector(read_vector(checkpoint, attn + "q_norm.weight", head));
      w.k_norm = count_vector(read_vector(checkpoint, attn + "k_norm.weight", head));
    }
    std::vector<float> rows = read_block(checkpoint, dtype_, attn + "q_proj.weight", q, hidden);
    append(rows, read_block(checkpoint, dtype_, attn + "k_proj.weight", kv, hidden));
    append(rows, read_block(checkpoint, dtype_, attn + "v_proj.weight", kv, hidden));
    w.qkv = pack_rows(rows, qkv_rows, model.hidden);
    if (model.qkv_bias) {
      std::vector<float> bias = read_vector(checkpoint, attn + "q_proj.bias", q);
      append(bias, read_vector(checkpoint, attn + "k_proj.bias", kv));
      append(bias, read_vector(checkpoint, attn + "v_proj.bias", kv));
      w.qkv_bias = count_vector(bias);
    }
    w.o = pack_rows(read_block(checkpoint, dtype_, attn + "o_proj.weight", hidden, q), model.hidden, q.size());
    if (model.o_bias) w.o_bias = count_vector(read_vector(checkpoint, attn + "o_proj.bias", hidden));

    if (model.is_moe_layer(l)) {
      w.moe = read_moe(checkpoint, model, stage, share, l);
      layers_.push_back(std::move(w));
      continue;
    }
    w.ffn = read_ffn(checkpoint, {mlp + "gate_proj.weight", mlp + "up_proj.weight", mlp + "down_proj.weight"}, share.ffn,
                     model.hidden);
    if (model.mlp_bias) {
      std::vector<float> bias = read_vector(checkpoint, mlp + "gate_proj.bias", share.ffn);
      append(bias, read_vector(checkpoint, mlp + "up_proj.bias", share.ffn));
      w.gate_up_bias = count_vector(bias);
      w.down_bias = count_vector(read_vector(checkpoint, mlp + "down_proj.bias", hidden));
    }
    layers_.push_back(std::move(w));
  }

  const bool first = shard.stage == 0;
  const bool last = shard.stage + 1 == static_cast<int>(group.stages.size());
  const auto pack_table = [&](const std::string& name, Range rows) {
    // By bands, so that the f32 copy of a large vocabulary never exists whole.
    const std::size_t size = kernels::packed_bytes(type_, rows.size(), model.hidden);
    void* place = arena_.allocate(size);
    constexpr std::int64_t kBand = 1024;
    for (std::int64_t r = 0; r < rows.size(); r += kBand) {
      const std::int64_t n = std::min(kBand, rows.size() - r);
      const std::vector<float> band =
          read_block(checkpoint, dtype_, name, {rows.begin + r, rows.begin + r + n}, hidden);
      kernels::pack_weights(type_, rows.size(), model.hidden, r, n, band.data(), place);
    }
    bytes_ += size;
    return kernels::PackedWeights{place, type_, rows.size(), model.hidden};
  };
  if (first) embedding_ = pack_table("model.embed_tokens.weight", {0, model.vocab});
  if (last) {
    final_norm_ = count_vector(read_vector(checkpoint, "model.norm.weight", hidden));
    if (model.tied_embeddings && first && share.vocab.begin % kernels::kPanel == 0) {
      // The rank's rows of the LM head are whole panels of the table it already holds.
      const auto offset = kernels::packed_bytes(type_, share.vocab.begin, model.hidden);
      lm_head_ = {static_cast<const std::byte*>(embedding_.data) + offset, type_, share.vocab.size(),
                  model.hidden};
    } else {
      lm_head_ = pack_table(model.tied_embeddings ? "model.embed_tokens.weight" : "lm_head.weight",
                            share.vocab);
    }
  }
}

}  // namespace lindos::exec
