// SPDX-License-Identifier: Apache-2.0
#include "sim/expert_imbalance.h"

#include <algorithm>
#include <cmath>

#include "scenarios/ops_builder.h"
#include "sim/normal_distribution.h"

namespace lindos::sim {

double fullest_rank(const Moe& moe, std::int64_t ranks, double tokens, double skew) {
  if (ranks < 2 || tokens < 1.0) return 1.0;
  const auto r = static_cast<double>(ranks);
  const auto experts = static_cast<double>(moe.experts);
  const double held = experts / r;
  const double pairs = tokens * moe.top_k;
  double squares = 0.0;
  for (const double share : expert_shares(moe, skew)) squares += (share - 1.0 / experts) * (share - 1.0 / experts);
  const double of_placement = pairs * pairs * held * (1.0 - 1.0 / r) * squares / (experts - 1.0);
  const double of_choices = pairs / r * (1.0 - 1.0 / r) * (experts - moe.top_k) / (experts - 1.0);
  // Ranks share a fixed sum, which spreads them by sqrt(r / (r - 1)) more than independent ones of that variance.
  const double sigma = std::sqrt((of_placement + of_choices) * r / (r - 1.0));
  const double most = normal_tail_quantile(0.625 / (r + 0.25)) * sigma;  // 1 - (r - 3/8) / (r + 1/4)
  const double mean = pairs / r;
  const double all_there = tokens * std::min<double>(moe.top_k, std::ceil(held));
  return std::max(1.0, std::min(mean + most, all_there) / mean);
}

}  // namespace lindos::sim
