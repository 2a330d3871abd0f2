// SPDX-License-Identifier: Apache-2.0
#include "sim/uniform_books.h"

#include <algorithm>

namespace lindos::sim {

namespace {

// Rests kept before they are counted up and forgotten; about a kilobyte each.
constexpr std::size_t kKeptRests = 32768;

}  // namespace

std::size_t UniformBooks::KeyHash::operator()(const Key& key) const {
  std::uint64_t hash = static_cast<std::uint64_t>(key.tokens) * 0x9E3779B97F4A7C15ULL;
  hash ^= (static_cast<std::uint64_t>(key.rows) << 20U) + static_cast<std::uint64_t>(key.steps) * 2 +
          (key.decodes ? 1U : 0U);
  return static_cast<std::size_t>((hash * 0xD6E8FEB86659FD93ULL) >> 20U);
}

UniformBooks::UniformBooks(const ReplicaModel& replica, const Draw& draw, std::size_t stage)
    : replica_(replica),
      draw_(draw),
      stage_(stage),
      ranks_(static_cast<double>(replica.ranks(stage).size())),
      ceiling_(replica.ranks(stage).front()) {}

UniformBooks::Rest& UniformBooks::rest_of(const StepTotals& totals, int steps) {
  const Key key{totals.tokens, totals.rows, steps, totals.decodes};
  if (last_ != nullptr && key == last_key_) return *last_;
  if (rests_.size() >= kKeptRests) count_up();
  const auto [place, fresh] = rests_.try_emplace(key);
  Rest& rest = place->second;
  last_key_ = key;
  last_ = &rest;
  if (!fresh) return rest;

  const ReplicaModel::RestOfStep priced = replica_.rest_of_step(totals, stage_, steps);
  rest.in_place = priced.in_place;
  rest.time = compute_time(priced.work, replica_.ranks(stage_), draw_);
  book(priced.work, replica_.ranks(stage_), draw_, rest.ledger, rest.totals);
  if (replica_.power()) {
    for (const std::vector<PricedOp>& ops : priced.work.ranks) {
      Work work{Flop{0}, Bytes{0}, 1.0};
      for (const PricedOp& op : ops) {
        if (op.family == Family::kHost) continue;
        work.flop += op.flop;
        work.bytes += op.bytes;
      }
      const auto same = std::find_if(rest.works.begin(), rest.works.end(), [&](const Work& w) {
        return w.flop == work.flop && w.bytes == work.bytes;
      });
      if (same != rest.works.end()) {
        same->ranks += 1.0;
      } else {
        rest.works.push_back(work);
      }
    }
  }
  rest.prefill_factor = draw_.factor(ceiling_.device, Family::kPrefillAttention, priced.work.sigma);
  rest.decode_factor = draw_.factor(ceiling_.device, Family::kDecodeAttention, priced.work.sigma);
  return rest;
}

Seconds UniformBooks::step(const StepTotals& totals, int steps_under_way) {
  const int steps = std::min(static_cast<int>(replica_.stages()), steps_under_way);
  Rest& rest = rest_of(totals, steps);
  rest.steps += 1.0;
  Seconds span = rest.time;
  Flop flop{0};
  Bytes bytes{0};
  replica_.attention_of_step(totals, stage_, steps, rest.in_place, attention_);
  for (const PricedOp& op : attention_) {
    const Seconds time = op.time * (op.family == Family::kPrefillAttention ? rest.prefill_factor : rest.decode_factor);
    span += time;
    flop += op.flop;
    bytes += op.bytes;
    ledger_.book_kernel(time, op.flop * ranks_, op.bytes * ranks_, ceiling_.peak * ranks_, ceiling_.bandwidth * ranks_);
    totals_.cold += op.cold * ranks_;
    totals_.speed_of_light += std::max(op.flop / ceiling_.peak, op.bytes / ceiling_.bandwidth) * ranks_;
    totals_.busy += time * ranks_;
    totals_.seconds[static_cast<std::size_t>(op.family)][static_cast<std::size_t>(op.tier)] += time.count() * ranks_;
  }
  for (const Work& work : rest.works) {
    const Joules added = replica_.added_energy(stage_, work.flop + flop, work.bytes + bytes);
    totals_.added += std::min(added, ceiling_.added_limit * span) * work.ranks;
  }
  return span;
}

void UniformBooks::count_up() {
  for (const auto& [key, rest] : rests_) {
    ledger_.merge(rest.ledger, rest.steps);
    totals_.add(rest.totals, rest.steps);
  }
  rests_.clear();
  last_ = nullptr;
}

void UniformBooks::close(Ledger& ledger, WorkTotals& totals) {
  count_up();
  ledger.merge(ledger_);
  totals.add(totals_, 1.0);
  ledger_ = {};
  totals_ = {};
}

}  // namespace lindos::sim
