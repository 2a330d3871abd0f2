// SPDX-License-Identifier: Apache-2.0
#include "sim/stage_work.h"

#include <algorithm>

namespace lindos::sim {

namespace {

// own[segment] of one rank.
void sum_segments(const std::vector<PricedOp>& ops, std::size_t device, const Draw& draw,
                  std::vector<Seconds>& own) {
  std::fill(own.begin(), own.end(), Seconds(0));
  for (const PricedOp& op : ops) own[op.segment] += op.time * draw.factor(device, op.family);
}

// slowest[segment] over the ranks.
std::vector<Seconds> slowest_segments(const StageWork& work, const std::vector<RankCeiling>& ranks,
                                      const Draw& draw) {
  std::vector<Seconds> slowest(work.collectives.size(), Seconds(0));
  std::vector<Seconds> own(work.collectives.size());
  for (std::size_t r = 0; r < work.ranks.size(); ++r) {
    sum_segments(work.ranks[r], ranks[r].device, draw, own);
    for (std::size_t s = 0; s < own.size(); ++s) slowest[s] = std::max(slowest[s], own[s]);
  }
  return slowest;
}

}  // namespace

Seconds compute_time(const StageWork& work, const std::vector<RankCeiling>& ranks,
                     const Draw& draw) {
  const double collective_factor = draw.factor(ranks.front().device, Family::kCollective);
  Seconds sum{0};
  for (const Seconds segment : slowest_segments(work, ranks, draw)) sum += segment;
  for (const Collective& c : work.collectives) sum += c.time * collective_factor;
  return sum;
}

void book(const StageWork& work, const std::vector<RankCeiling>& ranks, const Draw& draw,
          Ledger& ledger, WorkTotals& totals) {
  const double collective_factor = draw.factor(ranks.front().device, Family::kCollective);
  const std::vector<Seconds> slowest = slowest_segments(work, ranks, draw);
  std::vector<Seconds> own(slowest.size());
  Seconds collectives{0};
  for (const Collective& c : work.collectives) {
    collectives += c.time * collective_factor;
    totals
        .seconds[static_cast<std::size_t>(Family::kCollective)][static_cast<std::size_t>(c.tier)] +=
        c.time.count() * collective_factor;
  }
  for (std::size_t r = 0; r < work.ranks.size(); ++r) {
    const RankCeiling& rank = ranks[r];
    for (const PricedOp& op : work.ranks[r]) {
      const Seconds time = op.time * draw.factor(rank.device, op.family);
      totals.seconds[static_cast<std::size_t>(op.family)][static_cast<std::size_t>(op.tier)] +=
          time.count();
      if (op.family == Family::kHost) {
        ledger.book(Cause::kHostOverhead, time, rank.peak);
        continue;
      }
      ledger.book_kernel(time, op.flop, op.bytes, rank.peak, rank.bandwidth);
      totals.cold += op.cold;
      totals.speed_of_light += std::max(op.flop / rank.peak, op.bytes / rank.bandwidth);
      totals.busy += time;
    }
    sum_segments(work.ranks[r], rank.device, draw, own);
    Seconds waited{0};
    for (std::size_t s = 0; s < own.size(); ++s) waited += slowest[s] - own[s];
    ledger.book(Cause::kStragglerMix, waited, rank.peak);
    ledger.book(Cause::kExposedTensor, collectives, rank.peak);
  }
}

}  // namespace lindos::sim
