// SPDX-License-Identifier: Apache-2.0
#include "sim/reliability/long_run.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <queue>

#include "scenarios/error.h"
#include "scenarios/exponential_draw.h"
#include "scenarios/philox.h"

namespace lindos::sim {
namespace {

using Ticks = std::int64_t;  // microseconds
constexpr Ticks kNever = std::numeric_limits<Ticks>::max();
constexpr double kTicksPerSecond = 1e6;
// Mean repair times before the count begins: e^-3 = 5 % of the repairs are then still missing.
constexpr double kSettlingRepairs = 3.0;

enum class Stream : std::uint32_t { kFailures, kRate };

Ticks ticks(Seconds time) { return std::llround(time.count() * kTicksPerSecond); }

double unit(std::uint32_t word) { return static_cast<double>(word) * 0x1p-32; }

// Ticks × replicas by cause.
struct Account {
  Ticks productive = 0;
  Ticks checkpoint_io = 0;
  Ticks lost_work = 0;
  Ticks restart = 0;
  Ticks waiting = 0;
  void add(const Account& other) {
    productive += other.productive;
    checkpoint_io += other.checkpoint_io;
    lost_work += other.lost_work;
    restart += other.restart;
    waiting += other.waiting;
  }
};

struct Return {
  Ticks time = 0;
  std::size_t pool = 0;
  std::int64_t nodes = 0;
  // Ties in the order of pools, so that the queue has one order only.
  bool operator>(const Return& other) const {
    return std::pair(time, pool) > std::pair(other.time, other.pool);
  }
};

template <class T>
using Earliest = std::priority_queue<T, std::vector<T>, std::greater<>>;

class Simulation {
 public:
  Simulation(const ReliabilityInput& input, Seconds interval, std::uint64_t seed,
             std::uint32_t draw);
  LongRun run();

 private:
  [[nodiscard]] PhiloxCounter words(std::uint64_t index, std::uint32_t draw, Stream stream) const;
  [[nodiscard]] double rate_factor() const;
  void plan_next_failure();
  [[nodiscard]] Ticks next_return() const {
    return in_repair_.empty() ? kNever : in_repair_.top().time;
  }
  [[nodiscard]] std::int64_t replicas_possible(std::vector<std::int64_t>& nodes_used) const;
  void begin_session(Ticks now, Ticks saving, Ticks outage);
  [[nodiscard]] Account session(Ticks now, bool is_lost) const;
  void take_back(Ticks now);
  bool strike(Ticks now);
  void grow_if_worth_it(Ticks now);

  const ReliabilityInput& input_;
  const FailureProcess& process_;
  PhiloxKey key_;
  std::uint32_t draw_;
  Ticks interval_;
  Ticks blocking_;
  Ticks commit_delay_;
  std::int64_t replicas_ = 0;

  std::vector<double> cumulative_rate_;  // by source
  double mean_gap_ = 0.0;                // ticks between failures anywhere, spares included
  std::uint64_t event_ = 0;
  Ticks next_failure_ = kNever;
  PhiloxCounter next_words_{};

  std::vector<std::int64_t> healthy_;  // nodes by pool, spares included
  Earliest<Return> in_repair_;
  Earliest<Ticks> slots_;  // when each repair slot is free again

  // From one interruption to the next: [stop, save_end) saving, [.., ready) restarting, then
  // training.
  Ticks stop_ = 0;
  Ticks save_end_ = 0;
  Ticks ready_ = 0;
  std::int64_t running_ = 0;  // replicas; 0 = waiting for nodes
  std::vector<std::int64_t> nodes_used_;

  Account account_;
  std::vector<std::int64_t> interruptions_;
};

Simulation::Simulation(const ReliabilityInput& input, Seconds interval, std::uint64_t seed,
                       std::uint32_t draw)
    : input_(input),
      process_(input.process),
      key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32U)},
      draw_(draw),
      interval_(std::max<Ticks>(1, ticks(interval))),
      blocking_(ticks(input.checkpoint.blocking)),
      commit_delay_(ticks(input.checkpoint.commit_delay)),
      interruptions_(process_.sources.size(), 0) {
  for (const ReplicaShape& group : input.groups) replicas_ += group.replicas;
  for (const PoolNodes& pool : process_.pools) healthy_.push_back(pool.all());
  double rate = 0.0;
  for (const FailureSource& source : process_.sources) {
    rate += event_rate(source).value();
    cumulative_rate_.push_back(rate);
  }
  // Whole thousandths of a tick, so that the last bit of the math library's exp does not matter.
  if (rate > 0.0) {
    mean_gap_ = std::round(kTicksPerSecond / rate / rate_factor() * 1e3) / 1e3;
  }
  for (std::int64_t i = 0; i < process_.repair_slots; ++i) slots_.push(0);
}

PhiloxCounter Simulation::words(std::uint64_t index, std::uint32_t draw, Stream stream) const {
  return philox({static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32U), draw,
                 static_cast<std::uint32_t>(stream)},
                key_);
}

// One factor on all rates for the whole run, log-normal around 1 (Box-Muller). Draws 2k and 2k + 1
// are each other's inverse, so that the median of a few draws is at the nominal rates.
double Simulation::rate_factor() const {
  if (input_.rate_sigma == 0.0) return 1.0;
  const PhiloxCounter bits = words(0, draw_ / 2, Stream::kRate);
  const double radius = std::sqrt(2.0 * exponential_draw(bits[0]));
  const double normal = radius * std::cos(2.0 * std::numbers::pi * unit(bits[1]));
  return std::exp(input_.rate_sigma * (draw_ % 2 == 0 ? normal : -normal));
}

void Simulation::plan_next_failure() {
  if (mean_gap_ == 0.0) return;
  next_words_ = words(event_++, draw_, Stream::kFailures);
  const Ticks now = next_failure_ == kNever ? 0 : next_failure_;
  next_failure_ = now + std::llround(exponential_draw(next_words_[0]) * mean_gap_);
}

// Replicas that the healthy nodes carry, group after group, and the nodes they take.
std::int64_t Simulation::replicas_possible(std::vector<std::int64_t>& nodes_used) const {
  std::vector<std::int64_t> left;
  for (std::size_t p = 0; p < healthy_.size(); ++p) {
    left.push_back(healthy_[p] * process_.pools[p].devices_per_node);
  }
  std::int64_t possible = 0;
  for (const ReplicaShape& group : input_.groups) {
    std::int64_t replicas = group.replicas;
    for (std::size_t p = 0; p < left.size(); ++p) {
      if (group.devices[p] > 0) replicas = std::min(replicas, left[p] / group.devices[p]);
    }
    for (std::size_t p = 0; p < left.size(); ++p) left[p] -= replicas * group.devices[p];
    possible += replicas;
  }
  if (possible < replicas_ && input_.without_spare == WithoutSpare::kWait) possible = 0;
  nodes_used.assign(healthy_.size(), 0);
  for (std::size_t p = 0; possible > 0 && p < left.size(); ++p) {
    nodes_used[p] = healthy_[p] - left[p] / process_.pools[p].devices_per_node;
  }
  return possible;
}

void Simulation::begin_session(Ticks now, Ticks saving, Ticks outage) {
  running_ = replicas_possible(nodes_used_);
  stop_ = now;
  save_end_ = now + saving;
  ready_ = save_end_ + outage;
}

// The session up to `now`, either lost back to its last checkpoint, or going on.
Account Simulation::session(Ticks now, bool is_lost) const {
  Account a;
  a.checkpoint_io = std::min(now, save_end_) - stop_;
  a.restart = std::max<Ticks>(0, std::min(now, ready_) - save_end_);
  const Ticks trained = std::max<Ticks>(0, now - ready_);
  const Ticks cycle = interval_ + blocking_;
  if (is_lost) {
    // A checkpoint counts once its write has ended.
    const Ticks kept = std::max<Ticks>(0, trained - commit_delay_) / cycle;
    a.productive = kept * interval_;
    a.checkpoint_io += kept * blocking_;
    a.lost_work = trained - kept * cycle;
  } else {
    const Ticks saves = trained / cycle;
    const Ticks rest = trained % cycle;
    a.productive = saves * interval_ + std::min(rest, interval_);
    a.checkpoint_io += saves * blocking_ + std::max<Ticks>(0, rest - interval_);
  }
  a.productive *= running_;
  a.checkpoint_io *= running_;
  a.lost_work *= running_;
  a.restart *= running_;
  a.waiting = (now - stop_) * (replicas_ - running_);
  return a;
}

void Simulation::take_back(Ticks now) {
  while (next_return() <= now) {
    healthy_[in_repair_.top().pool] += in_repair_.top().nodes;
    in_repair_.pop();
  }
}

// The failure that is due. The nodes of a pool are numbered: first those that train, then idle
// ones, then those in repair. True when it hits one that trains.
bool Simulation::strike(Ticks now) {
  const double point = unit(next_words_[1]) * cumulative_rate_.back();
  const auto found = std::upper_bound(cumulative_rate_.begin(), cumulative_rate_.end(), point);
  const auto s = static_cast<std::size_t>(std::min(found, cumulative_rate_.end() - 1) -
                                          cumulative_rate_.begin());
  const FailureSource& source = process_.sources[s];
  const std::int64_t all = process_.pools[source.pool].all();
  const auto node = static_cast<std::int64_t>(unit(next_words_[2]) * static_cast<double>(all));
  const std::int64_t first = node / source.nodes_per_unit * source.nodes_per_unit;
  const std::int64_t last = std::min(all, first + source.nodes_per_unit);
  std::int64_t& healthy = healthy_[source.pool];
  const std::int64_t taken = std::min(last, healthy) - first;
  if (source.repair > Seconds{0} && taken > 0) {
    Ticks begin = now;
    if (!slots_.empty()) {
      begin = std::max(now, slots_.top());
      slots_.pop();
    }
    const Ticks end = begin + std::llround(exponential_draw(next_words_[3]) *
                                           source.repair.count() * kTicksPerSecond);
    if (process_.repair_slots > 0) slots_.push(end);
    in_repair_.push({end, source.pool, taken});
    healthy -= taken;
  }
  const bool interrupts = first < nodes_used_[source.pool];
  if (interrupts) ++interruptions_[s];
  return interrupts;
}

// Repaired nodes carry more replicas. A job that stands still starts at once; one that trains saves
// and restarts for them when that costs less than what the missing replicas would train until the
// next interruption.
void Simulation::grow_if_worth_it(Ticks now) {
  std::vector<std::int64_t> nodes;
  const std::int64_t possible = replicas_possible(nodes);
  if (possible <= running_) return;
  const Ticks outage = ticks(input_.outage());
  if (running_ == 0) {
    account_.add(session(now, false));
    begin_session(now, 0, outage);
    return;
  }
  if (now < ready_) return;  // still restarting; the next repair or interruption looks again
  const Ticks saving = blocking_ + commit_delay_;
  const Ticks planned = outage - ticks(input_.detect);
  const auto gained = static_cast<double>(possible - running_) * mean_gap_;
  if (gained <= static_cast<double>(replicas_) * static_cast<double>(saving + planned)) return;
  account_.add(session(now, false));
  begin_session(now, saving, planned);
}

LongRun Simulation::run() {
  Seconds longest{0};
  for (const FailureSource& source : process_.sources) longest = std::max(longest, source.repair);
  const Ticks settled = ticks(kSettlingRepairs * longest);
  const Ticks end = settled + ticks(input_.horizon);
  LINDOS_ASSERT(replicas_ > 0 && end < kNever / replicas_, "replica time fits 64 bits");
  begin_session(0, 0, 0);
  plan_next_failure();
  Ticks mark = settled;
  while (true) {
    const bool is_short = running_ < replicas_;
    const Ticks now = std::min({next_failure_, mark, is_short ? next_return() : kNever});
    if (now == mark) {
      if (mark == end) break;
      // The count begins, with a checkpoint just made when the job trains.
      account_ = {};
      std::fill(interruptions_.begin(), interruptions_.end(), 0);
      stop_ = now;
      save_end_ = std::max(save_end_, now);
      ready_ = std::max(ready_, now);
      mark = end;
      continue;
    }
    take_back(now);
    if (now == next_failure_) {
      if (strike(now)) {
        account_.add(session(now, true));
        begin_session(now, 0, ticks(input_.outage()));
      }
      plan_next_failure();
    } else {
      grow_if_worth_it(now);
    }
  }
  account_.add(session(end, false));
  const auto counted = static_cast<double>(replicas_) * static_cast<double>(end - settled);
  const auto share = [&](Ticks part) { return static_cast<double>(part) / counted; };
  return {{share(account_.productive), share(account_.checkpoint_io), share(account_.lost_work),
           share(account_.restart), share(account_.waiting)},
          interruptions_};
}

}  // namespace

LongRun simulate_long_run(const ReliabilityInput& input, Seconds interval, std::uint64_t seed,
                          std::uint32_t draw) {
  return Simulation(input, interval, seed, draw).run();
}

}  // namespace lindos::sim
