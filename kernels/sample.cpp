// SPDX-License-Identifier: Apache-2.0
#include "kernels/sample.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cpu/table.h"
#include "kernels/philox.h"

namespace lindos::kernels {
namespace {

bool before(const Candidate& a, const Candidate& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

}  // namespace

void top_candidates(const float* logits, std::int64_t n, std::int32_t first_id, std::int64_t count,
                    std::vector<Candidate>& out) {
  out.clear();
  count = std::min(count, n);
  if (count <= 0) return;
  const KernelTable& table = kernel_table();
  constexpr std::int64_t kBlock = 256;  // most blocks hold nothing above the threshold and cost one maximum
  constexpr float kNone = -std::numeric_limits<float>::infinity();
  const auto keep = static_cast<std::size_t>(count);
  float threshold = kNone;  // the smallest kept logit, once `count` are kept
  bool full = false;
  const auto shrink = [&] {
    const auto last = out.begin() + static_cast<std::ptrdiff_t>(keep) - 1;
    std::nth_element(out.begin(), last, out.end(), before);
    out.resize(keep);
    threshold = out.back().logit;
    full = true;
  };
  for (std::int64_t begin = 0; begin < n; begin += kBlock) {
    const std::int64_t end = std::min(begin + kBlock, n);
    if (full && !(table.largest(logits + begin, end - begin) > threshold)) continue;
    for (std::int64_t i = begin; i < end; ++i) {
      const float logit = std::isnan(logits[i]) ? kNone : logits[i];
      // Later ids lose ties, so an equal logit need not be looked at once `count` are kept.
      if (full && !(logit > threshold)) continue;
      out.push_back({logit, static_cast<std::int32_t>(first_id + i)});
      if (out.size() == keep * 2 || (!full && out.size() == keep)) shrink();
    }
  }
  if (out.size() > keep) shrink();
  std::sort(out.begin(), out.end(), before);
}

double uniform_draw(std::uint64_t seed, std::uint64_t request, std::uint64_t position) {
  const auto low = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
  const auto high = [](std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32U); };
  const PhiloxCounter word =
      philox({low(position), high(position), low(request), high(request)}, {low(seed), high(seed)});
  const std::uint64_t bits = (static_cast<std::uint64_t>(word[0]) << 32U) | word[1];
  return static_cast<double>(bits >> 11U) * 0x1p-53;  // 53 bits: every value is a double, 1 is not reached
}

std::int32_t sample(const std::vector<Candidate>& candidates, const SamplingParameters& parameters,
                    std::uint64_t request, std::uint64_t position) {
  if (parameters.temperature <= 0.0) return candidates.front().id;
  std::size_t n = candidates.size();
  if (parameters.top_k > 0) n = std::min(n, static_cast<std::size_t>(parameters.top_k));
  std::vector<double> weight(n);  // relative to the largest
  double sum = 0.0;
  for (std::size_t i = 0; i < n; ++i) {
    const double below = static_cast<double>(candidates[i].logit) - static_cast<double>(candidates[0].logit);
    weight[i] = i == 0 ? 1.0 : std::exp(below / parameters.temperature);
    sum += weight[i];
  }
  // top-p: the shortest prefix that holds the share; min-p: a share of the largest. At least one stays.
  double kept = 0.0;
  std::size_t count = 0;
  while (count < n && (count == 0 || (kept < parameters.top_p * sum && weight[count] >= parameters.min_p))) {
    kept += weight[count++];
  }
  const double target = uniform_draw(parameters.seed, request, position) * kept;
  double reached = 0.0;
  for (std::size_t i = 0; i + 1 < count; ++i) {
    reached += weight[i];
    if (target < reached) return candidates[i].id;
  }
  return candidates[count - 1].id;
}

}  // namespace lindos::kernels
