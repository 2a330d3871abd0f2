// SPDX-License-Identifier: Apache-2.0
// Plain twin of kernels/attention.h in double: one sequence, keys and values contiguous, softmax in two passes.
#pragma once

#include <cstdint>

#include "kernels/attention.h"

namespace lindos::kernels::reference {

// q [tokens, q_heads * head_dim], k and v [first_position + tokens, kv_heads * head_dim], all tight
// -> out [tokens, q_heads * head_dim].
void attention(const AttentionShape& shape, std::int64_t kv_heads, std::int64_t head_dim,
               std::int64_t first_position, std::int64_t tokens, const float* q, const float* k, const float* v,
               double* out);

}  // namespace lindos::kernels::reference
