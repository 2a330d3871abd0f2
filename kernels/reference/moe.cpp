// SPDX-License-Identifier: Apache-2.0
#include "kernels/reference/moe.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace lindos::kernels::reference {

std::vector<Choice> route(const float* logits, std::int64_t experts, std::int64_t top_k, bool normalise) {
  std::vector<Choice> all;
  double sum = 0.0;
  const auto largest = static_cast<double>(*std::max_element(logits, logits + experts));
  for (std::int64_t e = 0; e < experts; ++e) {
    all.push_back({static_cast<std::int32_t>(e), std::exp(static_cast<double>(logits[e]) - largest)});
    sum += all.back().weight;
  }
  std::stable_sort(all.begin(), all.end(), [&](const Choice& a, const Choice& b) { return logits[a.expert] > logits[b.expert]; });
  all.resize(static_cast<std::size_t>(top_k));
  double chosen = 0.0;
  for (const Choice& c : all) chosen += c.weight;
  for (Choice& c : all) c.weight /= normalise ? chosen : sum;
  std::sort(all.begin(), all.end(), [](const Choice& a, const Choice& b) { return a.expert < b.expert; });
  return all;
}

}  // namespace lindos::kernels::reference
