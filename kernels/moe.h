// SPDX-License-Identifier: Apache-2.0
// Mixture of experts: which experts a token goes to, its rows in the order of experts, and the weighted sum of what they
// return. Deterministic and row-wise: a token's bits do not depend on the batch or the threads.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cpu_pool.h"

namespace lindos::kernels {

// Of each row of logits [m, experts] the top_k largest experts: ids [m, top_k] ascending, weights [m, top_k] their softmax
// over all experts in f32; `normalise` divides them by their sum. Ties go to the lower id; NaN counts as -infinity.
// REQUIRES: 1 <= top_k <= experts. CPU twin of the device's router; plain twin: reference/moe.h
void route(CpuPool& pool, const float* logits, std::int64_t ldl, std::int64_t m, std::int64_t experts, std::int64_t top_k,
           bool normalise, std::int32_t* ids, float* weights);

// The pairs of token and expert whose expert is in [begin, begin + held), expert after expert, within one by token.
struct ExpertRows {
  std::vector<std::int64_t> first;   // [held + 1]: rows of the e-th held expert are [first[e], first[e + 1])
  std::vector<std::int64_t> token;   // [pairs]: of each row
  std::vector<std::int64_t> row;     // [m, top_k]: of a token's choices, in the order of ids; -1 where another rank holds the expert
  [[nodiscard]] std::int64_t pairs() const { return first.back(); }
};
void group_by_expert(const std::int32_t* ids, std::int64_t m, std::int64_t top_k, std::int64_t begin, std::int64_t held,
                     ExpertRows& out);

// out[row] = x[token of row], width h.
void gather_rows(CpuPool& pool, const ExpertRows& rows, const float* x, std::int64_t ldx, std::int64_t h, float* out);
// y[t] = sum of weights[t][i] · x[row of (t, i)] in ascending order of experts, fused; 0 for a token without rows here.
void combine_rows(CpuPool& pool, const ExpertRows& rows, const float* weights, std::int64_t m, std::int64_t top_k,
                  const float* x, std::int64_t h, float* y, std::int64_t ldy);

}  // namespace lindos::kernels
