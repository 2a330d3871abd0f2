// SPDX-License-Identifier: Apache-2.0
#include "kernels/reference/attention.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace lindos::kernels::reference {

void attention(const AttentionShape& shape, std::int64_t kv_heads, std::int64_t head_dim,
               std::int64_t first_position, std::int64_t tokens, const float* q, const float* k, const float* v,
               double* out) {
  for (std::int64_t t = 0; t < tokens; ++t) {
    const std::int64_t position = first_position + t;
    const std::int64_t oldest = shape.window > 0 ? std::max<std::int64_t>(0, position - shape.window + 1) : 0;
    for (std::int64_t h = 0; h < shape.q_heads; ++h) {
      const std::int64_t column = (shape.q_head_offset + h) / shape.group * head_dim;
      const float* query = q + (t * shape.q_heads + h) * head_dim;
      std::vector<double> weight;
      for (std::int64_t p = oldest; p <= position; ++p) {
        double dot = 0.0;
        for (std::int64_t i = 0; i < head_dim; ++i) {
          dot += static_cast<double>(query[i]) * static_cast<double>(k[p * kv_heads * head_dim + column + i]);
        }
        weight.push_back(dot * shape.scale);
      }
      const double largest = *std::max_element(weight.begin(), weight.end());
      double sum = 0.0;
      for (double& w : weight) sum += w = std::exp(w - largest);
      double* to = out + (t * shape.q_heads + h) * head_dim;
      std::fill(to, to + head_dim, 0.0);
      for (std::int64_t p = oldest; p <= position; ++p) {
        const double w = weight[static_cast<std::size_t>(p - oldest)] / sum;
        for (std::int64_t i = 0; i < head_dim; ++i) {
          to[i] += w * static_cast<double>(v[p * kv_heads * head_dim + column + i]);
        }
      }
    }
  }
}

}  // namespace lindos::kernels::reference
