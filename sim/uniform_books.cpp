// SPDX-License-Identifier: Apache-2.0
#include "sim/uniform_books.h"

#include <algorithm>
#include <bit>

namespace lindos::sim {

namespace {

// Parts kept before they are counted up and forgotten; about a kilobyte each.
constexpr std::size_t kKeptParts = 32768;

std::size_t mixed(std::uint64_t a, std::uint64_t b) {
  return static_cast<std::size_t>(((a * 0x9E3779B97F4A7C15ULL ^ b) * 0xD6E8FEB86659FD93ULL) >> 20U);
}

}  // namespace

std::size_t UniformBooks::KeyHash::operator()(const BodyKey& key) const {
  return mixed(static_cast<std::uint64_t>(key.tokens), static_cast<std::uint64_t>(key.steps) * 2 + (key.decodes ? 1U : 0U));
}

std::size_t UniformBooks::KeyHash::operator()(const HeadKey& key) const {
  return mixed(static_cast<std::uint64_t>(key.rows), std::bit_cast<std::uint64_t>(key.sigma) + static_cast<std::uint64_t>(key.steps));
}

UniformBooks::UniformBooks(const ReplicaModel& replica, const Draw& draw, std::size_t stage)
    : replica_(replica),
      draw_(draw),
      stage_(stage),
      ranks_(static_cast<double>(replica.ranks(stage).size())),
      ceiling_(replica.ranks(stage).front()) {}

UniformBooks::Part UniformBooks::part_of(const StageWork& work) const {
  Part part;
  part.time = compute_time(work, replica_.ranks(stage_), draw_);
  book(work, replica_.ranks(stage_), draw_, part.ledger, part.totals);
  if (!replica_.power()) return part;
  for (const std::vector<PricedOp>& ops : work.ranks) part.works.push_back(replica_.power_work(stage_, ops));
  const auto others = [&](const PowerWork& own) { return own != part.works.front(); };
  if (std::none_of(part.works.begin(), part.works.end(), others)) part.works.resize(1);
  if (ceiling_.capped()) find_bounds(work, part);
  return part;
}

UniformBooks::Bound UniformBooks::bound_of(const PricedOp& op, double sigma) const {
  return {clock_bound(op, ceiling_), op.time * draw_.factor(ceiling_.device, op.family, sigma)};
}

void UniformBooks::find_bounds(const StageWork& work, Part& part) const {
  const auto ascending = [](std::vector<Bound> all) {
    std::sort(all.begin(), all.end(), [](const Bound& a, const Bound& b) { return a.clock < b.clock; });
    std::vector<Bound> distinct;
    for (const Bound& bound : all) {
      if (distinct.empty() || distinct.back().clock != bound.clock) distinct.push_back({bound.clock, Seconds(0)});
      distinct.back().time += bound.time;
    }
    return distinct;
  };
  std::vector<std::vector<Seconds>> segments(work.ranks.size());  // [rank][segment]
  for (std::size_t r = 0; r < work.ranks.size(); ++r) {
    segments[r].assign(work.collectives.size(), Seconds(0));
    std::vector<Bound> own;
    for (const PricedOp& op : work.ranks[r]) {
      own.push_back(bound_of(op, work.sigma));
      segments[r][op.segment] += own.back().time;
    }
    if (r < part.works.size()) part.bounds.push_back(ascending(std::move(own)));
  }
  std::vector<Bound> gating;
  for (std::size_t s = 0; s < work.collectives.size(); ++s) {
    std::size_t slowest = 0;
    for (std::size_t r = 1; r < segments.size(); ++r) {
      if (segments[r][s] > segments[slowest][s]) slowest = r;
    }
    for (const PricedOp& op : work.ranks[slowest]) {
      if (op.segment == s) gating.push_back(bound_of(op, work.sigma));
    }
  }
  part.gating = ascending(std::move(gating));
}

Seconds UniformBooks::lost_at(const std::vector<Bound>& bounds, double clock) {
  Seconds lost{0};
  for (auto bound = bounds.rbegin(); bound != bounds.rend() && bound->clock > clock; ++bound)
    lost += bound->time * (bound->clock / clock - 1.0);
  return lost;
}

UniformBooks::Part& UniformBooks::body_of(const BodyKey& key) {
  if (last_ != nullptr && key == last_key_) return *last_;
  const auto [place, fresh] = bodies_.try_emplace(key);
  Part& body = place->second;
  last_key_ = key;
  last_ = &body;
  if (!fresh) return body;
  const ReplicaModel::BodyOfStep priced = replica_.body_of_step(key.tokens, key.decodes, stage_, key.steps);
  body = part_of(priced.work);
  body.sigma = priced.work.sigma;
  body.in_place = priced.in_place;
  body.prefill_factor = draw_.factor(ceiling_.device, Family::kPrefillAttention, body.sigma);
  body.decode_factor = draw_.factor(ceiling_.device, Family::kDecodeAttention, body.sigma);
  return body;
}

UniformBooks::Part& UniformBooks::head_of(const HeadKey& key) {
  const auto [place, fresh] = heads_.try_emplace(key);
  if (fresh) {
    StageWork work = replica_.head_of_step(key.rows, stage_, key.steps);
    work.sigma = key.sigma;
    place->second = part_of(work);
  }
  return place->second;
}

Seconds UniformBooks::step(const StepTotals& totals, int steps_under_way) {
  if (bodies_.size() + heads_.size() >= kKeptParts) count_up();
  const int steps = std::min(static_cast<int>(replica_.stages()), steps_under_way);
  Part& body = body_of({totals.tokens, steps, totals.decodes});
  Part& head = head_of({totals.rows, steps, body.sigma});
  body.steps += 1.0;
  head.steps += 1.0;
  Seconds span = body.time + head.time;
  replica_.attention_of_step(totals, stage_, steps, body.in_place, attention_);
  if (ceiling_.capped()) attention_bounds_.clear();
  for (const PricedOp& op : attention_) {
    const Seconds time = op.time * (op.family == Family::kPrefillAttention ? body.prefill_factor : body.decode_factor);
    span += time;
    if (ceiling_.capped()) attention_bounds_.push_back({clock_bound(op, ceiling_), time});
    ledger_.book_kernel(time, op.flop * ranks_, op.bytes * ranks_, ceiling_.peak * ranks_, ceiling_.bandwidth * ranks_);
    totals_.cold += op.cold * ranks_;
    totals_.speed_of_light += std::max(op.flop / ceiling_.peak, op.bytes / ceiling_.bandwidth) * ranks_;
    totals_.busy += time * ranks_;
    totals_.seconds[static_cast<std::size_t>(op.family)][static_cast<std::size_t>(op.tier)] += time.count() * ranks_;
  }
  if (!replica_.power()) return span;
  const PowerWork attention = replica_.power_work(stage_, attention_);
  const std::size_t unlike = std::max(body.works.size(), head.works.size());
  wanted_.resize(unlike);
  double clock = 1.0;
  for (std::size_t r = 0; r < unlike; ++r) {
    const PowerWork& b = body.works[std::min(r, body.works.size() - 1)];
    const PowerWork& h = head.works[std::min(r, head.works.size() - 1)];
    wanted_[r] = replica_.added_energy(stage_, {b.flop + h.flop + attention.flop, b.bytes + h.bytes + attention.bytes,
                                                b.kernels + h.kernels + attention.kernels});
    clock = std::min(clock, capped_clock(wanted_[r], span, ceiling_, draw_));
  }
  if (clock < 1.0) span += slow_down(body, head, clock);
  added_ = Joules{0};
  for (const Joules wanted : wanted_) {
    const Joules added = capped_energy(wanted, span, ceiling_, draw_) * (unlike == 1 ? ranks_ : 1.0);
    added_ += added;
    totals_.added += added;
  }
  return span;
}

Seconds UniformBooks::slow_down(const Part& body, const Part& head, double clock) {
  std::sort(attention_bounds_.begin(), attention_bounds_.end(), [](const Bound& a, const Bound& b) { return a.clock < b.clock; });
  const Seconds attention = lost_at(attention_bounds_, clock);
  const Seconds lost = lost_at(body.gating, clock) + lost_at(head.gating, clock) + attention;
  const double each = wanted_.size() == 1 ? ranks_ : 1.0;
  for (std::size_t r = 0; r < wanted_.size(); ++r) {
    const Seconds own = lost_at(body.bounds[std::min(r, body.bounds.size() - 1)], clock) +
                        lost_at(head.bounds[std::min(r, head.bounds.size() - 1)], clock) + attention;
    ledger_.book(Cause::kPowerCap, own, ceiling_.peak * each);
    ledger_.book(Cause::kStragglerMix, std::max(Seconds{0}, lost - own), ceiling_.peak * each);
    totals_.busy += own * each;
  }
  return lost;
}

void UniformBooks::count_up() {
  const auto count = [this](const auto& parts) {
    for (const auto& [key, part] : parts) {
      ledger_.merge(part.ledger, part.steps);
      totals_.add(part.totals, part.steps);
    }
  };
  count(bodies_);
  count(heads_);
  bodies_.clear();
  heads_.clear();
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
