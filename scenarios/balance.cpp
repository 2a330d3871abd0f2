// SPDX-License-Identifier: Apache-2.0
#include "scenarios/balance.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>

#include "scenarios/error.h"

namespace lindos {
namespace {

void check_weights(const std::vector<double>& weights, bool zero_allowed) {
  double sum = 0.0;
  for (const double w : weights) {
    if (!std::isfinite(w) || w < 0.0 || (w == 0.0 && !zero_allowed)) {
      throw Error(ErrorKind::kInput, "",
                  "a share's weight must be finite and " +
                      std::string(zero_allowed ? "not negative" : "above 0") + ", saw " +
                      std::to_string(w));
    }
    sum += w;
  }
  if (!(sum > 0.0) || !std::isfinite(sum)) {
    throw Error(ErrorKind::kInput, "", "at least one weight must be above 0");
  }
}

// Parameters that one decoded token reads in a layer; routed experts count top-k of them.
double layer_work(const Model& model, std::int64_t layer) {
  const auto hidden = static_cast<double>(model.hidden);
  double attention = 0.0;
  if (model.is_mla()) {
    const Mla& mla = model.mla;
    const double query_width =
        static_cast<double>(model.q_heads) * (mla.nope_head_dim + mla.rope_head_dim);
    const double query = mla.q_lora_rank > 0 ? mla.q_lora_rank * (hidden + query_width)
                                             : hidden * query_width;
    attention = query + hidden * (mla.kv_lora_rank + mla.rope_head_dim) +
                static_cast<double>(model.q_heads) *
                    (mla.kv_lora_rank * (mla.nope_head_dim + mla.v_head_dim) +
                     hidden * mla.v_head_dim);
  } else {
    const auto heads = static_cast<double>(2 * model.q_heads + 2 * model.kv_heads);
    attention = hidden * heads * static_cast<double>(model.head_dim);
  }
  const double matrices = model.ffn_inputs() + 1.0;
  if (!model.is_moe_layer(layer)) {
    return attention + matrices * hidden * static_cast<double>(model.ffn);
  }
  const double width = static_cast<double>(model.moe.top_k) *
                           static_cast<double>(model.moe.expert_ffn) +
                       static_cast<double>(model.moe.shared_ffn);
  return attention + hidden * (matrices * width + model.moe.experts);
}

}  // namespace

std::vector<Range> split(std::int64_t total, std::int64_t granule,
                         const std::vector<double>& weights) {
  check_weights(weights, true);
  LINDOS_ASSERT(total >= 0 && granule > 0, "a split needs a size and a granule");
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  const std::int64_t units = (total + granule - 1) / granule;

  std::vector<std::int64_t> share(weights.size());
  std::vector<double> remainder(weights.size());
  std::int64_t given = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double quota = static_cast<double>(units) * (weights[i] / sum);
    // Quotas that are whole but for rounding must not lose a granule to the remainders.
    share[i] = static_cast<std::int64_t>(std::floor(quota * (1.0 + 1e-12)));
    remainder[i] = quota - static_cast<double>(share[i]);
    given += share[i];
  }
  std::vector<std::size_t> order(weights.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  // Ties, also those that differ by rounding only, go to the lower rank.
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::llround(remainder[a] * 1e9) > std::llround(remainder[b] * 1e9);
  });
  for (std::size_t next = 0; given < units; next = (next + 1) % order.size()) {
    if (weights[order[next]] == 0.0) continue;
    ++share[order[next]];
    ++given;
  }

  std::vector<Range> ranges;
  ranges.reserve(weights.size());
  std::int64_t unit = 0;
  for (const std::int64_t s : share) {
    ranges.push_back({std::min(unit * granule, total), std::min((unit + s) * granule, total)});
    unit += s;
  }
  return ranges;
}

std::vector<TensorShare> balance_tensor(const Model& model, const std::vector<double>& weights,
                                        std::int64_t granule, KvSplit kv_split) {
  const std::size_t ranks = weights.size();
  const std::int64_t group = std::max<std::int64_t>(1, model.group());
  std::vector<TensorShare> shares(ranks);

  const bool whole = kv_split == KvSplit::kWholeGroups;
  const std::vector<Range> heads = split(whole ? model.kv_heads : model.q_heads, 1, weights);
  const std::vector<Range> ffn = split(model.ffn, granule, weights);
  const std::vector<Range> vocab = split(model.vocab, granule, weights);
  for (std::size_t i = 0; i < ranks; ++i) {
    TensorShare& share = shares[i];
    share.q_heads = whole ? Range{heads[i].begin * group, heads[i].end * group} : heads[i];
    share.kv_heads = kv_heads_of(share.q_heads, group);
    share.ffn = ffn[i];
    share.vocab = vocab[i];
  }
  if (model.is_moe()) {
    const auto n = static_cast<std::int64_t>(ranks);
    const bool narrow = model.moe.expert_ffn < n * kGpuGranule;
    const bool deal_out = n > 1 && narrow && model.moe.experts >= n;
    const std::vector<Range> experts = split(model.moe.experts, 1, weights);
    for (std::size_t i = 0; i < ranks; ++i) {
      shares[i].experts = deal_out ? experts[i] : Range{0, model.moe.experts};
    }
  }
  return shares;
}

Range kv_heads_of(const Range& q_heads, std::int64_t group) {
  const std::int64_t first = q_heads.begin / group;
  if (q_heads.empty()) return {first, first};
  return {first, (q_heads.end + group - 1) / group};
}

std::vector<Range> balance_layers(const Model& model, const std::vector<double>& weights) {
  check_weights(weights, false);
  const auto layers = static_cast<std::size_t>(model.layers);
  const std::size_t stages = weights.size();
  if (stages > layers) {
    throw Error(ErrorKind::kInput, "",
                std::to_string(stages) + " pipeline stages for " + std::to_string(layers) +
                    " layers; at most " + std::to_string(layers) + " stages are possible");
  }
  std::vector<double> before(layers + 1, 0.0);  // work of layers [0, i)
  for (std::size_t i = 0; i < layers; ++i) {
    before[i + 1] = before[i] + layer_work(model, static_cast<std::int64_t>(i));
  }
  const auto hidden = static_cast<double>(model.hidden);
  const double head = hidden * static_cast<double>(model.vocab);
  const auto time = [&](std::size_t stage, std::size_t begin, std::size_t end) {
    double work = before[end] - before[begin];
    if (stage == 0) work += hidden;
    if (stage + 1 == stages) work += head;
    return work / weights[stage];
  };

  // cost[s][e]: the best of stages 0…s over layers [0, e); first the smallest maximum, then, among the
  // splits that keep it, the smallest sum of squares.
  const double never = std::numeric_limits<double>::infinity();
  using Table = std::vector<std::vector<double>>;
  Table slowest(stages, std::vector<double>(layers + 1, never));
  for (std::size_t s = 0; s < stages; ++s) {
    for (std::size_t e = s + 1; e <= layers; ++e) {
      if (s == 0) {
        slowest[s][e] = time(s, 0, e);
        continue;
      }
      for (std::size_t b = s; b < e; ++b) {
        slowest[s][e] = std::min(slowest[s][e], std::max(slowest[s - 1][b], time(s, b, e)));
      }
    }
  }
  const double limit = slowest[stages - 1][layers] * (1.0 + 1e-12);
  Table squares(stages, std::vector<double>(layers + 1, never));
  std::vector<std::vector<std::size_t>> begin(stages, std::vector<std::size_t>(layers + 1, 0));
  for (std::size_t s = 0; s < stages; ++s) {
    for (std::size_t e = s + 1; e <= layers; ++e) {
      for (std::size_t b = s == 0 ? 0 : s; b < (s == 0 ? 1 : e); ++b) {
        const double t = time(s, b, e);
        if (t > limit) continue;
        const double sum = (s == 0 ? 0.0 : squares[s - 1][b]) + t * t;
        // A later begin gives the earlier stages more layers, so it wins a tie.
        if (sum <= squares[s][e] * (1.0 + 1e-12)) {
          squares[s][e] = std::min(sum, squares[s][e]);
          begin[s][e] = b;
        }
      }
    }
  }
  std::vector<Range> ranges(stages);
  std::size_t end = layers;
  for (std::size_t s = stages; s-- > 0;) {
    ranges[s] = {static_cast<std::int64_t>(begin[s][end]), static_cast<std::int64_t>(end)};
    end = begin[s][end];
  }
  return ranges;
}

Plan make_plan(const Model& model, const std::string& pool, int stages,
               const std::vector<double>& tensor_weights, const std::vector<double>& stage_weights,
               Dtype dtype, const EngineLimits& limits, std::int64_t granule, KvSplit kv_split) {
  if (stages < 1) {
    throw Error(ErrorKind::kInput, "", "a plan needs at least one stage, saw " + std::to_string(stages));
  }
  const auto stage_count = static_cast<std::size_t>(stages);
  if (!stage_weights.empty() && stage_weights.size() != stage_count) {
    throw Error(ErrorKind::kInput, "",
                std::to_string(stage_weights.size()) + " stage weights for " +
                    std::to_string(stages) + " stages");
  }
  const std::vector<double> even_stages(stage_count, 1.0);
  const std::vector<double> one_rank{1.0};
  const std::vector<Range> layers =
      balance_layers(model, stage_weights.empty() ? even_stages : stage_weights);
  const std::vector<TensorShare> shares = balance_tensor(
      model, tensor_weights.empty() ? one_rank : tensor_weights, granule, kv_split);

  GroupPlan group;
  group.name = pool;
  group.limits = limits;
  group.weight_dtype = dtype;
  group.kv_dtype = bytes_of(dtype) < 2.0 ? Dtype::kBf16 : dtype;
  if (granule == kCpuGranule || dtype == Dtype::kF32) {
    group.activation_dtype = Dtype::kF32;
  } else if (dtype == Dtype::kF16) {
    group.activation_dtype = Dtype::kF16;
  }
  for (const Range& range : layers) {
    StagePlan stage;
    stage.layers = range;
    for (const TensorShare& share : shares) stage.ranks.push_back({pool, share, 0});
    group.stages.push_back(std::move(stage));
  }
  Plan plan;
  plan.name = pool;
  plan.groups.push_back(std::move(group));
  return plan;
}

}  // namespace lindos
