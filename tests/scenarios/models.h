// SPDX-License-Identifier: Apache-2.0
// Shapes that the hand derivations of the tests are made for.
#pragma once

#include "scenarios/model.h"

namespace lindos {

inline Model smollm2() {
  Model m;
  m.name = "smollm2-135m";
  m.architecture = "LlamaForCausalLM";
  m.hidden = 576;
  m.layers = 30;
  m.q_heads = 9;
  m.kv_heads = 3;
  m.head_dim = 64;
  m.ffn = 1536;
  m.vocab = 49152;
  m.max_positions = 8192;
  m.tied_embeddings = true;
  m.rope_theta = 100000.0;
  return m;
}

inline Model llama_8b() {
  Model m;
  m.name = "llama-3.1-8b";
  m.architecture = "LlamaForCausalLM";
  m.hidden = 4096;
  m.layers = 32;
  m.q_heads = 32;
  m.kv_heads = 8;
  m.head_dim = 128;
  m.ffn = 14336;
  m.vocab = 128256;
  m.max_positions = 131072;
  m.rope_theta = 500000.0;
  return m;
}

// GPT-3 as Megatron trains it (arXiv 2205.05198, Table 3): vocabulary padded to 51,200.
inline Model gpt3_175b() {
  Model m;
  m.name = "gpt-3-175b";
  m.architecture = "GPT2LMHeadModel";
  m.hidden = 12288;
  m.layers = 96;
  m.q_heads = m.kv_heads = 96;
  m.head_dim = 128;
  m.ffn = 4 * m.hidden;
  m.vocab = 51200;
  m.max_positions = 2048;
  m.tied_embeddings = true;
  m.qkv_bias = m.o_bias = m.mlp_bias = true;
  m.gated_ffn = false;
  m.learned_positions = true;
  return m;
}

inline Model deepseek_v3() {
  Model m;
  m.name = "deepseek-v3";
  m.architecture = "DeepseekV3ForCausalLM";
  m.hidden = 7168;
  m.layers = 61;
  m.q_heads = 128;
  m.kv_heads = 128;
  m.head_dim = 192;
  m.ffn = 18432;
  m.vocab = 129280;
  m.max_positions = 163840;
  m.moe = {.experts = 256, .top_k = 8, .expert_ffn = 2048, .shared_experts = 1, .shared_ffn = 2048,
           .first_dense_layers = 3};
  m.mla = {.q_lora_rank = 1536, .kv_lora_rank = 512, .nope_head_dim = 128, .rope_head_dim = 64,
           .v_head_dim = 128};
  m.dtype = Dtype::kFp8;
  return m;
}

}  // namespace lindos
