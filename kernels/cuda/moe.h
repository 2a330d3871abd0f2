// SPDX-License-Identifier: Apache-2.0
// Mixture-of-experts FFN on the device: who computes which token, and the products of the experts that were chosen.
// Everything that depends on the choice stays on the device: grids follow from capacities, so a step can be captured.
//
//   up to 8 tokens    moe_route_few → moe_few_gate_up → moe_few_down: each hit expert's matrices are streamed once, all
//                     tokens beside them; norm, choice and weighted sum are part of the three kernels.
//   more              moe_choose (after a product with the router) → moe_group → moe_tiles_gate_up → moe_tiles_down →
//                     moe_combine: rows sorted by expert, tiles of tensor cores over them.
//
// FLOP: 6·hidden·ffn per (token, expert) pair; bytes: the matrices of the experts hit, once. 16-bit operands, f32 sums; with FP8
// operands a Hopper tensor core keeps some 14 bits of a sum of products.
// Numerics: an expert's rows are in order of token, a token's terms in order of expert: results repeat bit for bit.
// FP8 experts widen beside bf16 activations up to 8 tokens. Beyond, x and the activations are E4M3 too, with a scale per row,
// quantised between the kernels (kernels/cuda/quantise.h); such products need compute capability 8.9.
// A rank that holds some of the experts, or some of their columns, computes its part of the sum.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/element.h"
#include "kernels/cuda/launch.h"

namespace lindos::kernels::cuda {

inline constexpr int kMostExperts = 256;
inline constexpr int kMostTopK = 16;
inline constexpr int kFewTokens = 8;

// The choice: softmax over all experts' logits, the top_k largest (equal ones: the lower id), their probabilities,
// divided by their sum if `normalise`.
struct MoeGate {
  int tokens = 0;
  int experts = 0;                  // of the layer
  int top_k = 0;
  bool normalise = true;
  int first = 0;                    // the rank holds experts first … first + held − 1
  int held = 0;
  const int* position = nullptr;    // [tokens]; negative: padding, which chooses nothing. Null: no padding
};

// Matrices of the experts that the rank holds, one after the other: 16-bit numbers, or FP8 E4M3 with a scale per row.
struct MoeExperts {
  const void* gate_up = nullptr;            // [held][2 · ffn, hidden], gate rows first
  const void* down = nullptr;               // [held][hidden, ffn]
  int hidden = 0;                           // multiples of 8; FP8: 16
  int ffn = 0;
  // Both or none.
  const float* gate_up_scales = nullptr;    // [held][2 · ffn]
  const float* down_scales = nullptr;       // [held][hidden]
  [[nodiscard]] bool fp8() const { return gate_up_scales != nullptr; }
};

// --- up to 8 tokens -----------------------------------------------------------------------------------------------

struct MoeHit {
  int expert;                       // among the held
  unsigned tokens;                  // bit t: token t chose it
  float weight[kFewTokens];         // 0 where it did not
};
struct MoeHits {
  int count;
  MoeHit of[kFewTokens * kMostTopK];   // ascending experts
};

struct MoeRouteFew {
  Element element = Element::kBf16;         // of x, norm, router
  MoeGate gate;
  const Number* x = nullptr;                // [tokens, hidden]
  const Number* norm = nullptr;             // [hidden]
  float eps = 0.0F;
  int hidden = 0;                           // multiple of 8
  const Number* router = nullptr;           // [experts, hidden]
  Number* normed = nullptr;                 // out [tokens, hidden]
  float* logits = nullptr;                  // out [tokens, experts]
  unsigned* ticket = nullptr;               // zero; every launch leaves zero
  MoeHits* hits = nullptr;                  // out
};
void moe_route_few(const MoeRouteFew& route, const Launch& launch);

// True when the three kernels take so many tokens: their rows must fit shared memory beside the rings.
[[nodiscard]] bool moe_few_fits(int tokens, int hidden);

struct MoeFew {
  Element element = Element::kBf16;         // of matrices, x, activations, y
  MoeGate gate;
  MoeExperts experts;
  const MoeHits* hits = nullptr;
  const Number* x = nullptr;                // [tokens, hidden], normalised
  Number* activated = nullptr;              // [hit][kFewTokens][ffn]: rows of tokens that chose the hit (FP8: for moe_few_down alone)
  Number* y = nullptr;                      // [tokens, hidden]
  bool accumulate = false;                  // y += sum; else y = sum
};
// activated = silu(x · gateᵀ) · (x · upᵀ)
void moe_few_gate_up(const MoeFew& few, const Launch& launch);
// y (+)= Σ over a token's experts of weight · (activated · downᵀ)
void moe_few_down(const MoeFew& few, const Launch& launch);

// --- any number of tokens -----------------------------------------------------------------------------------------

inline constexpr std::uint16_t kNotHeld = 0xffff;

// (token, choice) pairs and their order by expert. `slot` counts the pairs of held experts, expert after expert.
struct MoeGroups {
  std::uint16_t* expert = nullptr;  // [⌈tokens · top_k⌉ to 8]: choices of a token ascending; among the held, or kNotHeld
  float* weight = nullptr;          // [tokens · top_k]
  int* slot = nullptr;              // [tokens · top_k]; −1: not held
  int* offset = nullptr;            // [held + 1]: first slot of each expert
  int* token = nullptr;             // [slot]
  float* slot_weight = nullptr;     // [slot]
};
// From logits [tokens, experts].
void moe_choose(const MoeGate& gate, const float* logits, const MoeGroups& groups, const Launch& launch);
void moe_group(const MoeGate& gate, const MoeGroups& groups, const Launch& launch);

struct MoeTiles {
  Element element = Element::kBf16;
  MoeGate gate;
  MoeExperts experts;
  MoeGroups groups;
  const void* x = nullptr;                  // [tokens, hidden], normalised; E4M3 with FP8 experts
  const float* x_scales = nullptr;          // FP8: [tokens]
  Number* activated = nullptr;              // [slot][ffn]: out of moe_tiles_gate_up, into moe_tiles_down unless FP8
  const std::uint8_t* quantised = nullptr;  // FP8: [slot][ffn] and [slot], into moe_tiles_down
  const float* quantised_scales = nullptr;
  Number* products = nullptr;               // [slot][hidden], weighted
  Number* y = nullptr;                      // [tokens, hidden]
  bool accumulate = false;                  // y += sum; else y = sum
  bool portable = false;                    // not the kernel made for this architecture (for comparison)
};
void moe_tiles_gate_up(const MoeTiles& tiles, const Launch& launch);
void moe_tiles_down(const MoeTiles& tiles, const Launch& launch);
void moe_combine(const MoeTiles& tiles, const Launch& launch);

}  // namespace lindos::kernels::cuda
