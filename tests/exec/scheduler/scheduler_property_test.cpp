// SPDX-License-Identifier: Apache-2.0
// Random event logs against a model that knows only the promises of scheduler.h, not how they are
// kept.
#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <sstream>
#include <tuple>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "exec/scheduler/scheduler.h"

namespace lindos::scheduler {
namespace {

constexpr TokenId kStopToken = 3;

// What a "model" samples: depends on the request and the position only, so that preemption must not
// show.
TokenId sample(RequestId id, std::size_t position) {
  return static_cast<TokenId>((id * 7 + position * 5 + id * position) % 11);
}

struct Event {
  int kind = 0;  // 0, 1: submit, 2: cancel, 3, 4: plan, 5, 6: complete
  int prompt = 1;
  int max_new = 1;
  int priority = 0;
  bool stops = false;
};

struct Case {
  Limits limits;
  Policy policy = Policy::kDecodeFirst;
  std::vector<Event> events;
};

rc::Gen<Case> any_case() {
  const auto event = rc::gen::apply(
      [](int kind, int prompt, int max_new, int priority, bool stops) {
        return Event{kind, prompt, max_new, priority, stops};
      },
      rc::gen::inRange(0, 7), rc::gen::inRange(1, 24), rc::gen::inRange(1, 16),
      rc::gen::inRange(0, 3), rc::gen::arbitrary<bool>());
  return rc::gen::apply(
      [](std::tuple<int, int, int> budget, std::tuple<int, int, int, int> memory,
         bool prefill_first, std::vector<Event> events) {
        Case c;
        std::tie(c.limits.max_batched_tokens, c.limits.max_sequences, c.limits.prefill_chunk) =
            budget;
        std::tie(c.limits.block_tokens, c.limits.kv_blocks, c.limits.watermark_blocks,
                 c.limits.lookahead) = memory;
        c.policy = prefill_first ? Policy::kPrefillFirst : Policy::kDecodeFirst;
        c.events = std::move(events);
        return c;
      },
      rc::gen::tuple(rc::gen::inRange(1, 40), rc::gen::inRange(1, 8), rc::gen::inRange(1, 20)),
      rc::gen::tuple(rc::gen::inRange(1, 6), rc::gen::inRange(1, 24), rc::gen::inRange(0, 4),
                     rc::gen::inRange(0, 4)),
      rc::gen::arbitrary<bool>(), rc::gen::container<std::vector<Event>>(event));
}

struct Modelled {
  int priority = 0;
  std::size_t prompt = 0;
  std::size_t max_new = 0;
  bool stops = false;
  bool cancelled = false;
  std::vector<TokenId> tokens;  // prompt and output
  std::size_t computed = 0;
  std::size_t in_flight = 0;
  std::vector<BlockId> blocks;
  // ids are given in order of arrival
  [[nodiscard]] std::pair<int, RequestId> rank(RequestId id) const { return {-priority, id}; }
};

class Checker {
 public:
  explicit Checker(const Case& c) : limits_(c.limits), scheduler_(c.limits, c.policy) {}

  void submit(const Event& e) {
    const RequestId id = next_id_++;
    Request request;
    request.id = id;
    for (int i = 0; i < e.prompt; ++i) request.prompt.push_back(100 + i);
    request.max_new_tokens = e.max_new;
    request.priority = e.priority;
    if (e.stops) request.stop_tokens = {kStopToken};
    const Admission admission = scheduler_.submit(request);
    const std::int64_t positions = e.prompt + e.max_new - 1;
    const std::int64_t needed = (positions + limits_.block_tokens - 1) / limits_.block_tokens;
    const bool fits = needed <= limits_.kv_blocks;
    RC_ASSERT(std::holds_alternative<Queued>(admission) == fits);
    if (!fits) {
      RC_ASSERT(std::get<Rejected>(admission).needed == needed);
      return;
    }
    Modelled& m = live_[id];
    m.priority = e.priority;
    m.prompt = request.prompt.size();
    m.max_new = static_cast<std::size_t>(e.max_new);
    m.stops = e.stops;
    m.tokens = request.prompt;
    submitted_.insert(id);
    std::size_t ahead = 0;
    for (const auto& [other, o] : live_)
      ahead += o.blocks.empty() && o.rank(other) < m.rank(id) ? 1 : 0;
    RC_ASSERT(std::get<Queued>(admission).position == ahead);
  }

  void cancel(RequestId id) {
    scheduler_.cancel(id);
    const auto found = live_.find(id);
    if (found == live_.end()) return;
    if (found->second.in_flight > 0) {
      found->second.cancelled = true;
    } else {
      expect_end(id, FinishReason::kCancelled);
    }
  }

  // Returns false when nothing was planned.
  bool plan() {
    const bool nothing_in_flight = steps_.empty();
    const auto active = static_cast<std::int64_t>(live_.size());
    const Step step = scheduler_.plan();
    check_preempted(step);
    RC_ASSERT(step.tokens() <= limits_.max_batched_tokens);
    RC_ASSERT(!(nothing_in_flight && active > 0 && step.empty()));
    if (limits_.lookahead > 0) {
      const std::int64_t steps = limits_.lookahead + 1;
      RC_ASSERT(static_cast<std::int64_t>(step.slices.size()) <= (active + steps - 1) / steps);
    }
    if (step.empty()) return false;
    RC_ASSERT(step.id == ++last_step_);
    transcript_ << "step " << step.id << ':';
    StepResult result{step.id, {}};
    std::vector<RequestId> requests;
    std::vector<std::pair<int, RequestId>> entered;
    bool decodes_over = false;
    for (const StepSlice& slice : step.slices) {
      RC_ASSERT(live_.contains(slice.request));
      RC_ASSERT(std::count(step.preempted.begin(), step.preempted.end(), slice.request) == 0);
      if (live_.at(slice.request).blocks.empty()) {
        entered.push_back(live_.at(slice.request).rank(slice.request));
      }
      RC_ASSERT(!(decodes_over && slice.is_decode));
      decodes_over = !slice.is_decode;
      check_slice(slice);
      requests.push_back(slice.request);
      if (slice.wants_logits) {
        result.sampled.push_back(sample(slice.request, live_.at(slice.request).tokens.size()));
      }
    }
    transcript_ << '\n';
    check_no_overtaking(entered, step.preempted);
    steps_.push_back({std::move(result), std::move(requests)});
    return true;
  }

  void complete() {
    if (steps_.empty()) return;
    auto [result, requests] = std::move(steps_.front());
    steps_.pop_front();
    scheduler_.complete(result);
    std::size_t next = 0;
    for (const RequestId id : requests) {
      Modelled& m = live_.at(id);
      m.computed += m.in_flight;
      m.in_flight = 0;
      const bool sampled = m.computed == m.tokens.size();
      const TokenId token = sampled ? result.sampled.at(next++) : 0;
      if (m.cancelled) {
        expect_end(id, FinishReason::kCancelled);
      } else if (sampled) {
        m.tokens.push_back(token);
        if (m.stops && token == kStopToken) {
          expect_end(id, FinishReason::kStop);
        } else if (m.tokens.size() == m.prompt + m.max_new) {
          expect_end(id, FinishReason::kLength);
        }
      }
    }
  }

  void check_state() {
    const Snapshot s = scheduler_.snapshot();
    std::int64_t held = 0;
    std::int64_t running = 0;
    std::set<BlockId> owned;
    for (const auto& [id, m] : live_) {
      held += static_cast<std::int64_t>(m.blocks.size());
      running += m.blocks.empty() ? 0 : 1;
      for (const BlockId block : m.blocks) {
        RC_ASSERT(block >= 0 && block < limits_.kv_blocks);
        RC_ASSERT(owned.insert(block).second);
      }
    }
    RC_ASSERT(s.blocks_used == held);
    RC_ASSERT(s.blocks_used + s.blocks_free == s.blocks_total);
    RC_ASSERT(s.blocks_total == limits_.kv_blocks);
    RC_ASSERT(s.running == running);
    RC_ASSERT(s.running <= limits_.max_sequences);
    RC_ASSERT(s.waiting == static_cast<std::int64_t>(live_.size()) - running);
    RC_ASSERT(s.in_flight_steps == static_cast<std::int64_t>(steps_.size()));
    RC_ASSERT(scheduler_.idle() == (live_.empty() && steps_.empty()));
    for (const Finished& done : scheduler_.take_finished()) {
      RC_ASSERT(!expected_.empty());
      RC_ASSERT(done.request == expected_.front().request);
      RC_ASSERT(done.reason == expected_.front().reason);
      RC_ASSERT(done.output == expected_.front().output);
      RC_ASSERT(submitted_.erase(done.request) == 1u);  // ends once
      transcript_ << "end " << done.request << '\n';
      expected_.pop_front();
    }
    RC_ASSERT(expected_.empty());
  }

  [[nodiscard]] std::size_t room() const {
    return static_cast<std::size_t>(limits_.lookahead) + 1 - steps_.size();
  }
  [[nodiscard]] bool idle() const { return live_.empty() && steps_.empty(); }
  [[nodiscard]] RequestId submitted_so_far() const { return next_id_; }
  void expect_all_ended() const { RC_ASSERT(submitted_.empty()); }
  [[nodiscard]] std::string transcript() const { return transcript_.str(); }
  [[nodiscard]] std::int64_t preemptions() const { return scheduler_.snapshot().preemptions; }

 private:
  struct InFlight {
    StepResult result;
    std::vector<RequestId> requests;
  };

  void check_preempted(const Step& step) {
    std::pair<int, RequestId> first{1, 0};  // of those that hold blocks; {1, …} is after all
    for (const auto& [id, m] : live_) {
      if (!m.blocks.empty()) first = std::min(first, m.rank(id));
    }
    for (const RequestId id : step.preempted) {
      Modelled& m = live_.at(id);
      RC_ASSERT(!m.blocks.empty());
      RC_ASSERT(m.in_flight == 0u);
      RC_ASSERT(first < m.rank(id));
      m.blocks.clear();
      m.computed = 0;
      transcript_ << "preempt " << id << '\n';
    }
  }

  void check_slice(const StepSlice& slice) {
    Modelled& m = live_.at(slice.request);
    RC_ASSERT(m.in_flight == 0u);  // steps in flight are disjoint
    RC_ASSERT(!m.cancelled);
    RC_ASSERT(slice.first_position == static_cast<std::int64_t>(m.computed));
    RC_ASSERT(!slice.tokens.empty());
    RC_ASSERT(static_cast<std::int64_t>(slice.tokens.size()) <= limits_.prefill_chunk);
    const std::size_t end = m.computed + slice.tokens.size();
    RC_ASSERT(end <= m.tokens.size());
    RC_ASSERT(std::equal(slice.tokens.begin(), slice.tokens.end(),
                         m.tokens.begin() + static_cast<std::ptrdiff_t>(m.computed)));
    RC_ASSERT(slice.wants_logits == (end == m.tokens.size()));
    if (slice.is_decode) RC_ASSERT(slice.tokens.size() == 1u && end > m.prompt);
    const auto positions = static_cast<std::int64_t>(end);
    RC_ASSERT(static_cast<std::int64_t>(slice.blocks.size()) ==
              (positions + limits_.block_tokens - 1) / limits_.block_tokens);
    RC_ASSERT(m.blocks.size() <= slice.blocks.size());
    RC_ASSERT(std::equal(m.blocks.begin(), m.blocks.end(), slice.blocks.begin()));
    m.blocks.assign(slice.blocks.begin(), slice.blocks.end());
    m.in_flight = slice.tokens.size();
    transcript_ << ' ' << slice.request << '@' << slice.first_position << '+'
                << slice.tokens.size();
    for (const BlockId block : slice.blocks) transcript_ << ',' << block;
  }

  // Nobody who waited before the step and still waits ranks before one who entered.
  void check_no_overtaking(const std::vector<std::pair<int, RequestId>>& entered,
                           const std::vector<RequestId>& preempted) {
    for (const auto& [id, m] : live_) {
      if (!m.blocks.empty() || std::count(preempted.begin(), preempted.end(), id) > 0) continue;
      for (const auto& rank : entered) RC_ASSERT(rank < m.rank(id));
    }
  }

  void expect_end(RequestId id, FinishReason reason) {
    const auto found = live_.find(id);
    const auto& tokens = found->second.tokens;
    expected_.push_back(
        {id,
         reason,
         {tokens.begin() + static_cast<std::ptrdiff_t>(found->second.prompt), tokens.end()}});
    live_.erase(found);
  }

  Limits limits_;
  Scheduler scheduler_;
  RequestId next_id_ = 0;
  std::uint64_t last_step_ = 0;
  std::map<RequestId, Modelled> live_;
  std::set<RequestId> submitted_;  // and not ended
  std::deque<InFlight> steps_;
  std::deque<Finished> expected_;
  std::ostringstream transcript_;
};

struct Outcome {
  std::string transcript;
  std::int64_t preemptions = 0;
};

// Plays the log, then drains without further events.
Outcome play(const Case& c) {
  Checker checker(c);
  for (const Event& e : c.events) {
    if (e.kind <= 1) checker.submit(e);
    if (e.kind == 2)
      checker.cancel(static_cast<RequestId>(e.prompt) % (checker.submitted_so_far() + 1));
    if ((e.kind == 3 || e.kind == 4) && checker.room() > 0) checker.plan();
    if (e.kind >= 5) checker.complete();
    checker.check_state();
  }
  // Each submitted request needs at most (prompt + output)² tokens even if it is recomputed before
  // each token.
  const std::size_t limit = 64 * 64 * (c.events.size() + 1);
  for (std::size_t i = 0; !checker.idle(); ++i) {
    RC_ASSERT(i < limit);
    while (checker.room() > 0 && checker.plan()) checker.check_state();
    checker.complete();
    checker.check_state();
  }
  checker.expect_all_ended();
  return {checker.transcript(), checker.preemptions()};
}

RC_GTEST_PROP(SchedulerProperty, KeepsItsPromisesAndReplays, ()) {
  const Case c = *any_case();
  const Outcome first = play(c);
  RC_TAG(first.preemptions > 0 ? "preempts" : "does not preempt");
  RC_ASSERT(first.transcript == play(c).transcript);
}

// The same requests at once into a pool that holds few of them: most cases preempt.
RC_GTEST_PROP(SchedulerProperty, ServesAllUnderPressure, ()) {
  Case c = *any_case();
  c.limits.max_sequences = 8;
  c.limits.kv_blocks = 24;
  c.limits.block_tokens = 2;
  c.limits.watermark_blocks = 0;
  for (Event& e : c.events) e.kind = 0;
  const Outcome outcome = play(c);
  RC_TAG(outcome.preemptions > 0 ? "preempts" : "does not preempt");
}

}  // namespace
}  // namespace lindos::scheduler
