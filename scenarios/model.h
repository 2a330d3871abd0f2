// SPDX-License-Identifier: Apache-2.0
// A decoder-only transformer as its configuration describes it: Llama-family dense models (grouped-query
// attention, RoPE scaling, SwiGLU, tied embeddings, QK-norm, biases), mixture-of-experts shapes, and the GPT
// shape that training results are published for (two-matrix FFN, learned positions), which is priced, not run.
// Read from a Hugging Face config.json (hf_config.h) or a catalogue entry. Plain value.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scenarios/dtype.h"

namespace lindos {

enum class RopeKind { kDefault, kLinear, kDynamic, kLlama3, kYarn };

struct RopeScaling {
  RopeKind kind = RopeKind::kDefault;
  double factor = 1.0;
  double low_freq_factor = 1.0;    // llama3
  double high_freq_factor = 4.0;   // llama3
  double beta_fast = 32.0;         // yarn
  double beta_slow = 1.0;          // yarn
  double mscale = 1.0;             // yarn, DeepSeek
  double mscale_all_dim = 0.0;     // yarn, DeepSeek
  double attention_factor = 0.0;   // yarn; 0 = derive from factor
  bool truncate = true;            // yarn; gpt-oss: false
  std::int64_t original_max_positions = 0;
  bool operator==(const RopeScaling&) const = default;
};

struct Moe {
  int experts = 0;                 // routed experts; 0 = dense model
  int top_k = 0;
  std::int64_t expert_ffn = 0;     // FFN width of one routed expert
  int shared_experts = 0;
  std::int64_t shared_ffn = 0;     // total FFN width of the shared experts
  int first_dense_layers = 0;      // layers before the first MoE layer
  int layer_interval = 1;          // every n-th layer is MoE
  bool normalise_top_k = true;
  bool operator==(const Moe&) const = default;
};

// Multi-head latent attention (DeepSeek): present when kv_lora_rank > 0.
struct Mla {
  int q_lora_rank = 0;
  int kv_lora_rank = 0;
  int nope_head_dim = 0;
  int rope_head_dim = 0;
  int v_head_dim = 0;
  bool operator==(const Mla&) const = default;
};

struct Model {
  std::string name;
  std::string architecture;        // "LlamaForCausalLM", …
  std::int64_t hidden = 0;
  std::int64_t layers = 0;
  std::int64_t q_heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;       // may differ from hidden / q_heads
  std::int64_t ffn = 0;            // dense FFN width
  std::int64_t vocab = 0;
  std::int64_t max_positions = 0;
  bool tied_embeddings = false;
  bool qk_norm = false;            // RMSNorm per head over head_dim, before RoPE
  bool qkv_bias = false;
  bool o_bias = false;
  bool mlp_bias = false;
  bool gated_ffn = true;           // false: up and down only (GELU of GPT, squared ReLU of Nemotron)
  bool learned_positions = false;  // a table of max_positions rows added to the embedding instead of RoPE
  double rms_eps = 1e-5;
  double rope_theta = 10000.0;
  RopeScaling rope;
  Dtype dtype = Dtype::kBf16;      // stored dtype of the checkpoint
  std::vector<int> sliding_window; // per layer, 0 = full; empty = all full
  bool attention_sinks = false;
  Moe moe;
  Mla mla;
  std::vector<std::int64_t> eos_tokens;
  std::int64_t bos_token = -1;
  bool operator==(const Model&) const = default;

  [[nodiscard]] bool is_moe() const { return moe.experts > 0; }
  [[nodiscard]] bool is_moe_layer(std::int64_t layer) const {
    return is_moe() && layer >= moe.first_dense_layers &&
           (layer - moe.first_dense_layers) % moe.layer_interval == 0;
  }
  [[nodiscard]] bool is_mla() const { return mla.kv_lora_rank > 0; }
  // Columns of the first FFN product per column of the second: gate and up, or up alone.
  [[nodiscard]] int ffn_inputs() const { return gated_ffn ? 2 : 1; }
  [[nodiscard]] std::int64_t group() const { return kv_heads == 0 ? 0 : q_heads / kv_heads; }
};

}  // namespace lindos
