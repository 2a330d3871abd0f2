// SPDX-License-Identifier: Apache-2.0
#include "kernels/moe.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "kernels/cpu/table.h"
#include "kernels/rows.h"

namespace lindos::kernels {
namespace {

// NaN would have no place in the order.
float comparable(float logit) { return std::isnan(logit) ? -std::numeric_limits<float>::infinity() : logit; }

// The experts of one row: best first while they are sought, ascending when done.
void choose(const float* logits, std::int64_t experts, std::int64_t top_k, std::int32_t* ids) {
  std::int64_t kept = 0;
  for (std::int64_t e = 0; e < experts; ++e) {
    const float logit = comparable(logits[e]);
    // A later id loses ties, so it passes only those that are less.
    if (kept == top_k && !(logit > comparable(logits[ids[kept - 1]]))) continue;
    std::int64_t at = kept < top_k ? kept++ : kept - 1;
    for (; at > 0 && logit > comparable(logits[ids[at - 1]]); --at) ids[at] = ids[at - 1];
    ids[at] = static_cast<std::int32_t>(e);
  }
  std::sort(ids, ids + top_k);
}

void weigh(const float* logits, std::int64_t experts, std::int64_t top_k, bool normalise, const std::int32_t* ids,
           float* weights) {
  float largest = -std::numeric_limits<float>::infinity();
  for (std::int64_t e = 0; e < experts; ++e) largest = std::max(largest, comparable(logits[e]));
  float all = 0.0F;
  for (std::int64_t e = 0; e < experts; ++e) all += std::exp(comparable(logits[e]) - largest);
  float chosen = 0.0F;
  for (std::int64_t i = 0; i < top_k; ++i) {
    weights[i] = std::exp(comparable(logits[ids[i]]) - largest) / all;
    chosen += weights[i];
  }
  if (!normalise) return;
  for (std::int64_t i = 0; i < top_k; ++i) weights[i] /= chosen;
}

}  // namespace

void route(CpuPool& pool, const float* logits, std::int64_t ldl, std::int64_t m, std::int64_t experts, std::int64_t top_k,
           bool normalise, std::int32_t* ids, float* weights) {
  for_rows(pool, m, experts, [&](std::int64_t row) {
    const float* of_row = logits + row * ldl;
    choose(of_row, experts, top_k, ids + row * top_k);
    weigh(of_row, experts, top_k, normalise, ids + row * top_k, weights + row * top_k);
  });
}

void group_by_expert(const std::int32_t* ids, std::int64_t m, std::int64_t top_k, std::int64_t begin, std::int64_t held,
                     ExpertRows& out) {
  const auto local = [&](std::int64_t pair) {
    const std::int64_t e = ids[pair] - begin;
    return e >= 0 && e < held ? e : -1;
  };
  out.first.assign(static_cast<std::size_t>(held + 1), 0);
  for (std::int64_t pair = 0; pair < m * top_k; ++pair) {
    if (const std::int64_t e = local(pair); e >= 0) ++out.first[static_cast<std::size_t>(e + 1)];
  }
  for (std::size_t e = 1; e < out.first.size(); ++e) out.first[e] += out.first[e - 1];
  out.token.resize(static_cast<std::size_t>(out.pairs()));
  out.row.assign(static_cast<std::size_t>(m * top_k), -1);
  // first[e] walks to the end of its expert, which is where the next one began.
  for (std::int64_t pair = 0; pair < m * top_k; ++pair) {
    const std::int64_t e = local(pair);
    if (e < 0) continue;
    const std::int64_t row = out.first[static_cast<std::size_t>(e)]++;
    out.token[static_cast<std::size_t>(row)] = pair / top_k;
    out.row[static_cast<std::size_t>(pair)] = row;
  }
  std::rotate(out.first.begin(), out.first.end() - 1, out.first.end());
  out.first.front() = 0;
}

void gather_rows(CpuPool& pool, const ExpertRows& rows, const float* x, std::int64_t ldx, std::int64_t h, float* out) {
  for_rows(pool, rows.pairs(), h, [&](std::int64_t row) {
    const float* from = x + rows.token[static_cast<std::size_t>(row)] * ldx;
    std::copy(from, from + h, out + row * h);
  });
}

void combine_rows(CpuPool& pool, const ExpertRows& rows, const float* weights, std::int64_t m, std::int64_t top_k,
                  const float* x, std::int64_t h, float* y, std::int64_t ldy) {
  const KernelTable& table = kernel_table();
  for_rows(pool, m, top_k * h, [&](std::int64_t token) {
    float* sum = y + token * ldy;
    std::fill(sum, sum + h, 0.0F);
    for (std::int64_t i = 0; i < top_k; ++i) {
      const std::int64_t row = rows.row[static_cast<std::size_t>(token * top_k + i)];
      if (row >= 0) table.scaled_add(sum, x + row * h, weights[token * top_k + i], h);
    }
  });
}

}  // namespace lindos::kernels
