// SPDX-License-Identifier: Apache-2.0
// Causal attention of a batch of slices over a paged KV cache (prefill and decode alike), with
// grouped-query heads, optional sliding window. Online softmax in f32.
// Layout of one page (16 positions) of one layer: K [kv_head][head_dim][16] (transposed: 16 keys side by
// side are one vector), V [kv_head][16][head_dim]. Pages are addressed by block id × page stride.
// Numerics: a query row is reduced over groups of 128 keys from position 0, so its bits depend neither on
// the chunking of the prompt nor on the batch.
#pragma once

#include <cstdint>

#include "kernels/cpu_pool.h"
#include "kernels/gemm.h"

namespace lindos::kernels {

inline constexpr std::int64_t kPageTokens = 16;

struct KvView {                       // one layer of one rank
  void* k = nullptr;                  // [blocks][kv_heads][head_dim][16]
  void* v = nullptr;                  // [blocks][kv_heads][16][head_dim]
  WeightType type = WeightType::kF32; // element type (16-bit ones plain, not interleaved)
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;          // multiple of 16... any multiple of 8 is accepted
};

struct AttentionSlice {
  std::int64_t first_position = 0;    // context before it
  std::int64_t tokens = 0;
  std::int64_t row = 0;               // first row in q and out
  const std::int32_t* blocks = nullptr;
};

struct AttentionShape {
  std::int64_t q_heads = 0;           // local
  std::int64_t group = 1;             // q heads per KV head of the whole model
  std::int64_t q_head_offset = 0;     // first q head's index minus group × first local KV head's index
  double scale = 1.0;                 // 1/sqrt(head_dim), times yarn's factor
  std::int64_t window = 0;            // 0 = full; else a query at p sees keys in (p − window, p]
};

// Writes k and v rows (row stride ldk/ldv, [kv_heads × head_dim]) into the pages.
void kv_write(CpuPool& pool, const KvView& kv, const AttentionSlice* slices, std::int64_t n_slices,
              const float* k, std::int64_t ldk, const float* v, std::int64_t ldv);

// Starts fetching the pages that kv_write of these slices will touch. A decode step finds them in no cache, since all
// weights have passed through since the last step, and transposed K spreads one token over a whole page: the writes
// would wait for some 100 lines each. Called before the projections, the fetch hides behind them. A hint: changes nothing.
void kv_prefetch(const KvView& kv, const AttentionSlice* slices, std::int64_t n_slices);

// q [rows, q_heads × head_dim] stride ldq → out, same shape, stride ldo.
void attention(CpuPool& pool, const KvView& kv, const AttentionShape& shape,
               const AttentionSlice* slices, std::int64_t n_slices, const float* q, std::int64_t ldq,
               float* out, std::int64_t ldo);

}  // namespace lindos::kernels
