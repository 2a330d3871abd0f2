// SPDX-License-Identifier: Apache-2.0
// All layers and the LM head of a decode step of one sequence in one launch: the race to read every weight once. One
// block per SM stays for the whole step; its warps stream weights without a stop, from one matrix into the next, while
// blocks meet at a barrier between the ops that depend on each other. Kernels one after the other, even overlapped by
// dependent launch, leave memory idle for 3 to 5 us at each border.
// Bytes: every weight once, keys and values of the context once. The floor is their sum over the read bandwidth.
// Numerics: those of skinny_gemm and attention_decode, except that the context is cut differently.
#pragma once

#include <cstdint>

#include "kernels/cuda/attention.h"
#include "kernels/cuda/launch.h"

namespace lindos::kernels::cuda {

// Pointers as in skinny_gemm; biases and head norms may be null.
struct DecodeLayer {
  const __nv_bfloat16 *input_norm, *post_norm, *q_norm, *k_norm;
  const __nv_bfloat16 *qkv, *qkv_bias;           // [(q + 2 kv) · head_dim, hidden]
  const __nv_bfloat16 *o, *o_bias;               // [hidden, q · head_dim]
  const __nv_bfloat16 *gate_up, *gate_up_bias;   // [2 · ffn, hidden], gate rows first
  const __nv_bfloat16 *down, *down_bias;         // [hidden, ffn]
  int window;                                    // 0 = full attention
};

struct DecodeStep {
  const DecodeLayer* layers = nullptr;           // [layer_count], device memory
  int layer_count = 0;
  int hidden = 0, ffn = 0, vocab = 0;            // of this rank
  float eps = 0.0F;
  const __nv_bfloat16* final_norm = nullptr;
  const __nv_bfloat16* lm_head = nullptr;        // [vocab, hidden]
  DeviceKv kv;                                   // of the first layer
  std::int64_t kv_layer_elements = 0;            // from one layer's pages to the next
  HeadMap heads;
  const float *cos = nullptr, *sin = nullptr;
  float scale = 1.0F;
  const int* row = nullptr;                      // [1]: 0
  const int* position = nullptr;                 // [1]
  const int* table = nullptr;
  std::int64_t table_stride = 0;
  __nv_bfloat16* residual = nullptr;             // [hidden]: the embedding before, the last layer's output after
  __nv_bfloat16* qkv = nullptr;                  // scratch, as in the kernels of single ops
  __nv_bfloat16* attention = nullptr;
  __nv_bfloat16* activated = nullptr;
  float* logits = nullptr;                       // [vocab]
  unsigned* tickets = nullptr;                   // [kv_heads], zeroed once
  float* partials = nullptr;                     // decode_step_partial_floats
  unsigned* barrier = nullptr;                   // one word, zeroed once; every launch leaves zero
};

// True where this kernel runs the step: heads of 64 or 128, x of every matrix and the rings in shared memory.
[[nodiscard]] bool decode_step_fits(const DecodeStep& step);
[[nodiscard]] std::size_t decode_step_partial_floats(int kv_heads, int head_dim);
void decode_step(const DecodeStep& step, const Launch& launch);

}  // namespace lindos::kernels::cuda
