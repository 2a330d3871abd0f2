// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/deal_batch.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <numeric>

namespace lindos::sim {

namespace {

// How far from the greedy answer an exact one is looked for, in granules of each set.
constexpr std::int64_t kReach = 24;

struct Adjustment {
  std::vector<std::int64_t> granules;  // more (or fewer, < 0) to leave out, per set
  std::int64_t size = 0;
};

// The smallest change with Σ granules × granule × micro_batches = `excess`, the last set solved for.
void adjust(const std::vector<ReplicaSet>& sets, const std::vector<std::int64_t>& left_out, std::size_t index,
            std::int64_t excess, Adjustment& now, std::optional<Adjustment>& best) {
  if (best && now.size >= best->size) return;
  const ReplicaSet& set = sets[index];
  const std::int64_t unit = set.granule * set.micro_batches;
  const auto allowed = [&](std::int64_t d) {
    const std::int64_t out = left_out[index] + d * set.granule;
    return out >= 0 && out <= set.replicas;
  };
  if (index + 1 == sets.size()) {
    if (excess % unit != 0 || !allowed(excess / unit)) return;
    now.granules[index] = excess / unit;
    Adjustment done = now;
    done.size += std::abs(excess / unit);
    if (!best || done.size < best->size) best = done;
    return;
  }
  for (std::int64_t step = 0; step <= 2 * kReach; ++step) {
    const std::int64_t d = (step % 2 == 0 ? step : -step - 1) / 2;  // 0, -1, 1, -2, 2, …
    if (!allowed(d)) continue;
    now.granules[index] = d;
    now.size += std::abs(d);
    adjust(sets, left_out, index + 1, excess - d * unit, now, best);
    now.size -= std::abs(d);
  }
}

}  // namespace

std::optional<std::vector<DealtSet>> deal_batch(const std::vector<ReplicaSet>& sets, std::int64_t micro_batches) {
  std::int64_t excess = -micro_batches;
  for (const ReplicaSet& set : sets) {
    if (set.micro_batches < 1) return std::nullopt;
    excess += set.replicas * set.micro_batches;
  }
  if (excess < 0) return std::nullopt;
  std::vector<std::size_t> order(sets.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return sets[a].cost * static_cast<double>(sets[b].micro_batches) >
           sets[b].cost * static_cast<double>(sets[a].micro_batches);
  });
  std::vector<std::int64_t> left_out(sets.size(), 0);
  for (const std::size_t i : order) {
    const ReplicaSet& set = sets[i];
    const std::int64_t granules = std::min(set.replicas / set.granule, excess / (set.granule * set.micro_batches));
    left_out[i] = granules * set.granule;
    excess -= left_out[i] * set.micro_batches;
  }
  std::int64_t fewer = 0;           // micro-batches that one replica of `short_set` goes without
  std::size_t short_set = sets.size();
  if (excess > 0) {
    Adjustment none{std::vector<std::int64_t>(sets.size(), 0), 0};
    std::optional<Adjustment> best;
    adjust(sets, left_out, 0, excess, none, best);
    if (best) {
      for (std::size_t i = 0; i < sets.size(); ++i) left_out[i] += best->granules[i] * sets[i].granule;
    } else {
      for (const std::size_t i : order) {
        if (sets[i].granule == 1 && left_out[i] < sets[i].replicas && sets[i].micro_batches > excess) {
          short_set = i;
          fewer = excess;
          break;
        }
      }
      if (short_set == sets.size()) return std::nullopt;
    }
  }
  std::vector<DealtSet> dealt;
  for (std::size_t i = 0; i < sets.size(); ++i) {
    const std::int64_t full = sets[i].replicas - left_out[i] - (i == short_set ? 1 : 0);
    if (full > 0) dealt.push_back({i, full, sets[i].micro_batches});
    if (i == short_set) dealt.push_back({i, 1, sets[i].micro_batches - fewer});
  }
  return dealt;
}

}  // namespace lindos::sim
