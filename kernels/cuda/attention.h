// SPDX-License-Identifier: Apache-2.0
// Causal attention over a paged KV cache on the device, grouped-query heads, optional sliding window; 16-bit numbers
// in and out, online softmax and accumulation in f32. Two kernels: one new token per sequence (decode), runs of tokens (prefill).
// A page holds 64 positions of one layer: [K | V][kv_head][64][head_dim], so that the keys of one head are contiguous.
// FLOP: 4·head_dim per pair of query head and key; bytes: 2·2·head_dim per key and KV head, once per decode token.
#pragma once

#include <cstdint>

#include "kernels/cuda/element.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/page.h"

namespace lindos::kernels::cuda {

inline constexpr int kLargestGroup = 16;      // q heads per KV head

// One layer of one rank.
struct DeviceKv {
  Number* pages = nullptr;                    // [blocks][2][kv_heads][64][head_dim]
  int kv_heads = 0;
  int head_dim = 0;                           // 64 or 128
};

struct HeadMap {
  int q_heads = 0;                            // local
  int group = 1;                              // q heads per KV head of the whole model, at most 16
  int q_offset = 0;                           // first q head's index minus group × first local KV head's index
};

// What is done to a head of q and k before its use.
struct HeadTransform {
  const Number* q_norm = nullptr;             // [head_dim] or null
  const Number* k_norm = nullptr;
  float eps = 0.0F;
  const float* cos = nullptr;                 // [positions][head_dim / 2]
  const float* sin = nullptr;
};

// Projections of all rows of a step: [q_heads | kv_heads | kv_heads] × head_dim per row, row stride `ld`.
struct DeviceQkv {
  Number* rows = nullptr;
  std::int64_t ld = 0;
};

struct DecodeAttention {
  Element element = Element::kBf16;           // of pages, norms, projections and output
  DeviceKv kv;
  HeadMap heads;
  HeadTransform transform;
  DeviceQkv qkv;
  const int* row = nullptr;                   // [sequences]: row of the sequence's token
  const int* position = nullptr;              // [rows]: of the token; negative: padding, its output is zero
  const int* table = nullptr;                 // [sequences][table_stride]: blocks
  std::int64_t table_stride = 0;
  int sequences = 0;
  float scale = 1.0F;                         // of q·k
  int window = 0;                             // 0 = full
  int splits = 1;                             // parts of the context taken in parallel, at most
  unsigned* tickets = nullptr;                // [sequences × kv_heads], zeroed once; every launch leaves zeros
  float* partials = nullptr;                  // decode_partial_floats
  Number* out = nullptr;                      // [rows, q_heads × head_dim], row stride ld_out
  std::int64_t ld_out = 0;
};

// Splits that fill the device: a function of the launch shape only, so that graphs can be replayed at any context.
[[nodiscard]] int decode_splits(int multiprocessors, int sequences, int kv_heads);
[[nodiscard]] std::size_t decode_partial_floats(int sequences, int kv_heads, int splits, int head_dim);
// Also rotates q and k, and writes the new token's k and v into its page.
void attention_decode(const DecodeAttention& attention, const Launch& launch);

struct PrefillAttention {
  Element element = Element::kBf16;
  DeviceKv kv;
  HeadMap heads;
  DeviceQkv qkv;                              // q rotated by rope_kv_write
  std::int64_t rows = 0;                      // of qkv
  bool portable = false;                      // never the kernel that only Hopper runs (tests, comparison)
  const PrefillTile* tiles = nullptr;         // [count], device memory
  int count = 0;
  const int* table = nullptr;
  std::int64_t table_stride = 0;
  float scale = 1.0F;
  int window = 0;
  Number* out = nullptr;
  std::int64_t ld_out = 0;
};
// Every key of the slices must be in its page (rope_kv_write).
void attention_prefill(const PrefillAttention& attention, const Launch& launch);

struct RopeKvWrite {
  Element element = Element::kBf16;
  DeviceKv kv;
  HeadMap heads;
  HeadTransform transform;
  DeviceQkv qkv;
  const int* rows = nullptr;                  // [count]: rows to treat, or null for 0 … count − 1
  const int* row_table = nullptr;             // [all rows]: row of the block table
  const int* position = nullptr;              // [all rows]
  int count = 0;
  const int* table = nullptr;
  std::int64_t table_stride = 0;
};
// Rotates q in place; k (rotated) and v go to their pages.
void rope_kv_write(const RopeKvWrite& write, const Launch& launch);

}  // namespace lindos::kernels::cuda
