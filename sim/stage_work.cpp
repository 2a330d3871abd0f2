// SPDX-License-Identifier: Apache-2.0
#include "sim/stage_work.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "scenarios/error.h"
#include "sim/power_limit.h"

namespace lindos::sim {

namespace {

// How much longer an op takes at this clock of its rank.
double stretch(const PricedOp& op, const RankCeiling& rank, double clock) {
  return clock == 1.0 ? 1.0 : std::max(1.0, clock_bound(op, rank) / clock);
}

// own[segment] of one rank.
void sum_segments(const std::vector<PricedOp>& ops, const RankCeiling& rank, const Draw& draw, double sigma, double clock,
                  std::vector<Seconds>& own) {
  std::fill(own.begin(), own.end(), Seconds(0));
  for (const PricedOp& op : ops)
    own[op.segment] += op.time * (draw.factor(rank.device, op.family, sigma) * stretch(op, rank, clock));
}

// slowest[segment] over the ranks. `clocks`: [rank], or empty where none is slowed.
std::vector<Seconds> slowest_segments(const StageWork& work, const std::vector<RankCeiling>& ranks, const Draw& draw,
                                      const std::vector<double>& clocks) {
  std::vector<Seconds> slowest(work.collectives.size(), Seconds(0));
  std::vector<Seconds> own(work.collectives.size());
  for (std::size_t r = 0; r < work.ranks.size(); ++r) {
    sum_segments(work.ranks[r], ranks[r], draw, work.sigma, clocks.empty() ? 1.0 : clocks[r], own);
    for (std::size_t s = 0; s < own.size(); ++s) slowest[s] = std::max(slowest[s], own[s]);
  }
  return slowest;
}

Seconds span_of(const StageWork& work, const std::vector<Seconds>& slowest, double collective_factor) {
  Seconds span{0};
  for (const Seconds segment : slowest) span += segment;
  for (const Collective& c : work.collectives) span += c.time * collective_factor;
  return span;
}

// One step under the draw: how long its segments take, and at which clocks.
struct TimedStage {
  double collective_factor = 1.0;
  std::vector<double> clocks;  // [rank]; empty where no cap slows the step
  std::vector<Seconds> slowest;
  Seconds span{0};
};

TimedStage time_of(const StageWork& work, const std::vector<RankCeiling>& ranks, const Draw& draw) {
  TimedStage timed;
  timed.collective_factor = draw.factor(ranks.front().device, Family::kCollective, work.sigma);
  timed.slowest = slowest_segments(work, ranks, draw, {});
  timed.span = span_of(work, timed.slowest, timed.collective_factor);
  for (std::size_t r = 0; r < work.added.size(); ++r) {
    const double clock = capped_clock(work.added[r], timed.span, ranks[r], draw);
    if (clock == 1.0) continue;
    if (timed.clocks.empty()) timed.clocks.assign(work.ranks.size(), 1.0);
    timed.clocks[r] = clock;
  }
  if (timed.clocks.empty()) return timed;
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    for (std::size_t q = 0; q < ranks.size(); ++q) {
      if (ranks[q].device == ranks[r].device) timed.clocks[r] = std::min(timed.clocks[r], timed.clocks[q]);
    }
  }
  timed.slowest = slowest_segments(work, ranks, draw, timed.clocks);
  timed.span = span_of(work, timed.slowest, timed.collective_factor);
  return timed;
}

// The cause that a collective's exposed time is booked to; nothing for ops that compute and for messages
// between stages.
std::optional<Cause> exposed_cause(OpKind kind) {
  switch (kind) {
    case OpKind::kAllReduce:
    case OpKind::kAllGather:
    case OpKind::kReduceScatter:
      return Cause::kExposedTensor;
    case OpKind::kAllToAll:
      return Cause::kExposedExpert;
    case OpKind::kRingExchange:
      return Cause::kExposedContext;
    default:
      return std::nullopt;
  }
}

// Transformer Engine cuts the messages of its user buffers into 4 (its default for "num_splits").
constexpr double kTiles = 4.0;

// A tile's message runs beside the arithmetic of another tile; the first or last one has none beside it.
Seconds outlasting_tiles(Seconds message, Seconds gemm) {
  return message / kTiles + std::max(Seconds{0}, message - gemm) * (1.0 - 1.0 / kTiles);
}

// The GEMM that reads the gathered rows, else the one that made them; a cast may lie between.
const Op* neighbouring_gemm(const std::vector<Op>& ops, std::size_t message) {
  std::size_t after = message + 1;
  while (after < ops.size() && ops[after].kind == OpKind::kQuantise) ++after;
  if (after < ops.size() && ops[after].kind == OpKind::kGemm) return &ops[after];
  std::size_t before = message;
  while (before > 0 && ops[before - 1].kind == OpKind::kQuantise) --before;
  if (before > 0 && ops[before - 1].kind == OpKind::kGemm) return &ops[before - 1];
  return nullptr;
}

}  // namespace

StageWork make_stage_work(const std::vector<std::vector<Op>>& ranks, const PriceOp& price) {
  StageWork work;
  work.ranks.resize(ranks.size());
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    const std::vector<Op>& ops = ranks[r];
    std::size_t segment = 0;
    for (std::size_t i = 0; i < ops.size(); ++i) {
      const Op& op = ops[i];
      const auto count = static_cast<double>(op.count);
      if (op.kind == OpKind::kSendRecv) continue;  // the path between the stages takes its time
      const std::optional<Cause> cause = exposed_cause(op.kind);
      if (cause && op.group < 2) continue;
      const Priced priced = price(r, op);
      if (!cause) {
        work.ranks[r].push_back({priced.family, priced.tier, segment, priced.time * count,
                                 op.flop * count, op.bytes() * count,
                                 (op.weight_bytes + op.kv_bytes) * count, priced.power});
        continue;
      }
      const auto time_of = [&](const Op& other) {
        return price(r, other).time * static_cast<double>(other.count);
      };
      Seconds exposed = priced.time * count;
      if (op.beside_next && i + 1 < ops.size()) {
        exposed = std::max(Seconds{0}, exposed - time_of(ops[i + 1]));
      } else if (op.tiled) {
        if (const Op* gemm = neighbouring_gemm(ops, i)) {
          exposed = outlasting_tiles(exposed, time_of(*gemm));
        }
      }
      if (segment == work.collectives.size()) work.collectives.emplace_back();
      Collective& collective = work.collectives[segment];
      if (exposed >= collective.time) collective = {exposed, priced.tier, *cause};
      ++segment;
    }
    LINDOS_ASSERT(r == 0 || segment <= work.collectives.size(),
                  "ranks of a stage meet in the same collectives");
    if (segment == work.collectives.size())
      work.collectives.push_back({Seconds(0), Tier::kMeasured});
  }
  return work;
}

void WorkTotals::add(const WorkTotals& part, double weight) {
  cold += part.cold * weight;
  speed_of_light += part.speed_of_light * weight;
  busy += part.busy * weight;
  added += part.added * weight;
  for (std::size_t f = 0; f < kFamilyCount; ++f) {
    for (std::size_t t = 0; t < kTierCount; ++t) seconds[f][t] += part.seconds[f][t] * weight;
  }
}

double clock_bound(const PricedOp& op, const RankCeiling& rank) {
  if (op.family == Family::kHost) return 0.0;
  const Seconds arithmetic = op.flop / rank.peak;
  const Seconds memory = op.bytes / rank.bandwidth;
  return arithmetic < memory ? arithmetic / memory : arithmetic.count() > 0.0 ? 1.0 : 0.0;
}

double capped_clock(Joules wanted, Seconds span, const RankCeiling& rank, const Draw& draw) {
  if (!rank.capped()) return 1.0;
  const Joules drawn = std::min(wanted * std::exp(rank.power_sigma * draw.power), rank.added_limit * span);
  const Joules allowed = rank.added_cap * span;
  return drawn <= allowed ? 1.0 : clock_of_share(allowed / drawn);
}

Joules capped_energy(Joules wanted, Seconds span, const RankCeiling& rank, const Draw& draw) {
  const Joules drawn = std::min(wanted, rank.added_limit * span);
  if (!rank.capped()) return drawn;
  return std::min(drawn, rank.added_cap * span * std::exp(-rank.power_sigma * draw.power));
}

Seconds compute_time(const StageWork& work, const std::vector<RankCeiling>& ranks, const Draw& draw) {
  return time_of(work, ranks, draw).span;
}

Joules book(const StageWork& work, const std::vector<RankCeiling>& ranks, const Draw& draw, Ledger& ledger,
            WorkTotals& totals) {
  const TimedStage timed = time_of(work, ranks, draw);
  for (const Collective& c : work.collectives) {
    totals.seconds[static_cast<std::size_t>(Family::kCollective)][static_cast<std::size_t>(c.tier)] +=
        c.time.count() * timed.collective_factor;
  }
  Joules added{0};
  for (std::size_t r = 0; r < work.added.size(); ++r)
    added += capped_energy(work.added[r], timed.span, ranks[r], draw);
  totals.added += added;
  std::vector<Seconds> own(timed.slowest.size());
  for (std::size_t r = 0; r < work.ranks.size(); ++r) {
    const RankCeiling& rank = ranks[r];
    const double clock = timed.clocks.empty() ? 1.0 : timed.clocks[r];
    for (const PricedOp& op : work.ranks[r]) {
      const Seconds time = op.time * draw.factor(rank.device, op.family, work.sigma);
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
      if (clock == 1.0) continue;
      const Seconds lost = time * (stretch(op, rank, clock) - 1.0);
      ledger.book(Cause::kPowerCap, lost, rank.peak);
      totals.busy += lost;
    }
    sum_segments(work.ranks[r], rank, draw, work.sigma, clock, own);
    Seconds waited{0};
    for (std::size_t s = 0; s < own.size(); ++s) waited += timed.slowest[s] - own[s];
    ledger.book(Cause::kStragglerMix, waited, rank.peak);
    for (const Collective& c : work.collectives) ledger.book(c.cause, c.time * timed.collective_factor, rank.peak);
  }
  return added;
}

}  // namespace lindos::sim
