// SPDX-License-Identifier: Apache-2.0
#include "tests/exec/reference_model.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <string>

#include "scenarios/error.h"

namespace lindos::exec::harness {
namespace {

using Row = std::vector<double>;
using Rows = std::vector<Row>;

struct Matrix {
  std::int64_t n = 0, k = 0;
  std::vector<float> values;  // [n, k]
  [[nodiscard]] Row times(const Row& x) const {
    Row y(static_cast<std::size_t>(n));
    for (std::size_t i = 0; i < y.size(); ++i) {
      for (std::size_t j = 0; j < x.size(); ++j) y[i] += static_cast<double>(values[i * x.size() + j]) * x[j];
    }
    return y;
  }
};

class Reference {
 public:
  Reference(const Model& model, const Checkpoint& checkpoint) : model_(model), checkpoint_(checkpoint) {
    LINDOS_ASSERT(model.rope.kind == RopeKind::kDefault && model.sliding_window.empty() && !model.qkv_bias && !model.o_bias &&
                      !model.mlp_bias,
                  "a model that the reference knows");
  }

  ReferenceRun run(const std::vector<scheduler::TokenId>& prompt) {
    const Matrix embedding = matrix("model.embed_tokens.weight");
    Rows x;
    for (const auto id : prompt) {
      const auto begin = embedding.values.begin() + static_cast<std::ptrdiff_t>(id) * embedding.k;
      x.emplace_back(begin, begin + embedding.k);
    }
    for (std::int64_t l = 0; l < model_.layers; ++l) {
      const std::string at = "model.layers." + std::to_string(l) + ".";
      attention(at, x);
      const Row gain = vector(at + "post_attention_layernorm.weight");
      for (Row& row : x) {
        const Row normed = norm(row, gain);
        add(row, model_.is_moe_layer(l) ? experts(at, normed) : ffn(at + "mlp.", "gate_proj", "up_proj", "down_proj", normed));
      }
    }
    const Matrix head = matrix(model_.tied_embeddings ? "model.embed_tokens.weight" : "lm_head.weight");
    run_.logits = head.times(norm(x.back(), vector("model.norm.weight")));
    return run_;
  }

 private:
  Matrix matrix(const std::string& name) const {
    const TensorInfo* info = checkpoint_.find(name);
    if (info == nullptr) throw Error(ErrorKind::kInput, name, "no such tensor");
    Matrix m;
    m.k = info->shape.back();
    m.n = info->shape.size() == 2 ? info->shape.front() : 1;
    m.values.resize(static_cast<std::size_t>(m.n * m.k));
    checkpoint_.read(name, 0, m.n, 0, m.k, m.values);
    return m;
  }
  Row vector(const std::string& name) const {
    const Matrix m = matrix(name);
    return {m.values.begin(), m.values.end()};
  }
  static void add(Row& to, const Row& what) {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] += what[i];
  }
  Row norm(const Row& x, const Row& gain) const {
    double squares = 0.0;
    for (const double v : x) squares += v * v;
    const double root = std::sqrt(squares / static_cast<double>(x.size()) + model_.rms_eps);
    Row y;
    for (std::size_t i = 0; i < x.size(); ++i) y.push_back(x[i] / root * gain[i]);
    return y;
  }
  // Heads [begin, …) of one projected row, normed where the model does and rotated.
  void turn(Row& heads, const Row* gain, std::int64_t position) const {
    const auto d = static_cast<std::size_t>(model_.head_dim);
    for (std::size_t h = 0; h < heads.size(); h += d) {
      const auto at = heads.begin() + static_cast<std::ptrdiff_t>(h);
      if (gain != nullptr) {
        const Row normed = norm(Row(at, at + static_cast<std::ptrdiff_t>(d)), *gain);
        std::copy(normed.begin(), normed.end(), at);
      }
      for (std::size_t i = 0; i < d / 2; ++i) {
        const double angle = static_cast<double>(position) *
                             std::pow(model_.rope_theta, -2.0 * static_cast<double>(i) / static_cast<double>(d));
        const double a = heads[h + i];
        const double b = heads[h + i + d / 2];
        heads[h + i] = a * std::cos(angle) - b * std::sin(angle);
        heads[h + i + d / 2] = b * std::cos(angle) + a * std::sin(angle);
      }
    }
  }

  void attention(const std::string& layer, Rows& x) const {
    const std::string at = layer + "self_attn.";
    const Matrix wq = matrix(at + "q_proj.weight"), wk = matrix(at + "k_proj.weight"), wv = matrix(at + "v_proj.weight"),
                 wo = matrix(at + "o_proj.weight");
    const Row gain = vector(layer + "input_layernorm.weight");
    Row q_gain, k_gain;
    if (model_.qk_norm) {
      q_gain = vector(at + "q_norm.weight");
      k_gain = vector(at + "k_norm.weight");
    }
    Rows q, k, v;
    for (std::size_t t = 0; t < x.size(); ++t) {
      const Row normed = norm(x[t], gain);
      q.push_back(wq.times(normed));
      k.push_back(wk.times(normed));
      v.push_back(wv.times(normed));
      turn(q.back(), model_.qk_norm ? &q_gain : nullptr, static_cast<std::int64_t>(t));
      turn(k.back(), model_.qk_norm ? &k_gain : nullptr, static_cast<std::int64_t>(t));
    }
    const auto d = static_cast<std::size_t>(model_.head_dim);
    for (std::size_t t = x.size(); t-- > 0;) {
      Row mixed(q[t].size());
      for (std::size_t h = 0; h < static_cast<std::size_t>(model_.q_heads); ++h) {
        const std::size_t kv = h / static_cast<std::size_t>(model_.group()) * d;
        Row scores;
        for (std::size_t p = 0; p <= t; ++p) {
          double dot = 0.0;
          for (std::size_t i = 0; i < d; ++i) dot += q[t][h * d + i] * k[p][kv + i];
          scores.push_back(dot / std::sqrt(static_cast<double>(d)));
        }
        softmax(scores);
        for (std::size_t p = 0; p <= t; ++p) {
          for (std::size_t i = 0; i < d; ++i) mixed[h * d + i] += scores[p] * v[p][kv + i];
        }
      }
      add(x[t], wo.times(mixed));
    }
  }

  static void softmax(Row& x) {
    const double most = *std::max_element(x.begin(), x.end());
    double sum = 0.0;
    for (double& v : x) sum += v = std::exp(v - most);
    for (double& v : x) v /= sum;
  }

  Row ffn(const std::string& at, const std::string& gate, const std::string& up, const std::string& down, const Row& x) const {
    Row g = matrix(at + gate + ".weight").times(x);
    const Row u = matrix(at + up + ".weight").times(x);
    for (std::size_t i = 0; i < g.size(); ++i) g[i] = g[i] / (1.0 + std::exp(-g[i])) * u[i];
    return matrix(at + down + ".weight").times(g);
  }

  Row experts(const std::string& layer, const Row& x) {
    const bool mixtral = model_.architecture == "MixtralForCausalLM";
    const std::string at = layer + (mixtral ? "block_sparse_moe." : "mlp.");
    Row share = matrix(at + "gate.weight").times(x);
    softmax(share);
    std::vector<std::size_t> order(share.size());
    std::iota(order.begin(), order.end(), 0U);
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return share[a] > share[b]; });
    const auto top_k = static_cast<std::size_t>(model_.moe.top_k);
    if (top_k < order.size()) {
      run_.closest_choice = std::min(run_.closest_choice, share[order[top_k - 1]] - share[order[top_k]]);
    }
    double chosen = 0.0;
    for (std::size_t i = 0; i < top_k; ++i) chosen += share[order[i]];
    Row sum(x.size());
    for (std::size_t i = 0; i < top_k; ++i) {
      const std::string expert = at + "experts." + std::to_string(order[i]) + ".";
      const Row y = mixtral ? ffn(expert, "w1", "w3", "w2", x) : ffn(expert, "gate_proj", "up_proj", "down_proj", x);
      const double weight = share[order[i]] / (model_.moe.normalise_top_k ? chosen : 1.0);
      for (std::size_t j = 0; j < sum.size(); ++j) sum[j] += weight * y[j];
    }
    if (model_.moe.shared_ffn > 0) add(sum, ffn(at + "shared_experts.", "gate_proj", "up_proj", "down_proj", x));
    return sum;
  }

  const Model& model_;
  const Checkpoint& checkpoint_;
  ReferenceRun run_;
};

}  // namespace

ReferenceRun reference_run(const Model& model, const Checkpoint& checkpoint, const std::vector<scheduler::TokenId>& prompt) {
  return Reference(model, checkpoint).run(prompt);
}

}  // namespace lindos::exec::harness
