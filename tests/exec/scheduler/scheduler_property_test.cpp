// SPDX-License-Identifier: Apache-2.0
#include <random>
#include <tuple>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "scenarios/scenario.h"
#include "tests/exec/scheduler/scheduler_checker.h"

namespace lindos::scheduler::model {
namespace {

rc::Gen<Event> any_event() {
  return rc::gen::apply(
      [](std::tuple<int, int, int, int> what, bool stops, std::tuple<int, int, int, bool> beginning) {
        Event e;
        std::tie(e.kind, e.prompt, e.max_new, e.priority) = what;
        e.stops = stops;
        std::tie(e.shared, e.group, e.salt, e.goes_on) = beginning;
        return e;
      },
      rc::gen::tuple(rc::gen::inRange(0, 7), rc::gen::inRange(1, 24), rc::gen::inRange(1, 16), rc::gen::inRange(0, 3)),
      rc::gen::arbitrary<bool>(),
      rc::gen::tuple(rc::gen::inRange(0, 32), rc::gen::inRange(0, 3),
                     rc::gen::weightedElement<int>({{4, 0}, {1, 1}}),
                     rc::gen::weightedElement<bool>({{3, false}, {1, true}})));
}

rc::Gen<Case> any_case() {
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
      rc::gen::arbitrary<bool>(), rc::gen::container<std::vector<Event>>(any_event()));
}

void tag(const Outcome& outcome) {
  RC_TAG(outcome.last.preemptions > 0 ? "preempts" : "does not preempt");
  if (outcome.last.prefix_query_tokens > 0) RC_TAG(outcome.last.prefix_hit_tokens > 0 ? "hits" : "does not hit");
  if (outcome.last.host_hit_tokens > 0) RC_TAG("hits in host memory");
}

enum class Reuse { kNone, kOnDevice, kWithHostMemory };

void set_reuse(Case& c, Reuse reuse) {
  c.limits.prefix_reuse = reuse != Reuse::kNone;
  if (reuse == Reuse::kWithHostMemory) c.limits.host_blocks = *rc::gen::inRange(1, 24);
}

void keeps_its_promises_and_replays(Reuse reuse) {
  Case c = *any_case();
  set_reuse(c, reuse);
  const Outcome first = play(c);
  tag(first);
  RC_ASSERT(first.transcript == play(c).transcript);
}

// The same requests at once into a pool that holds few of them: most cases preempt.
void serves_all_under_pressure(Reuse reuse) {
  Case c = *any_case();
  set_reuse(c, reuse);
  c.limits.max_sequences = 8;
  c.limits.kv_blocks = 24;
  c.limits.block_tokens = 2;
  c.limits.watermark_blocks = 0;
  for (Event& e : c.events) e.kind = 0;
  tag(play(c));
}

RC_GTEST_PROP(SchedulerProperty, KeepsItsPromisesAndReplays, ()) { keeps_its_promises_and_replays(Reuse::kNone); }
RC_GTEST_PROP(SchedulerProperty, KeepsThemWithPrefixReuse, ()) { keeps_its_promises_and_replays(Reuse::kOnDevice); }
RC_GTEST_PROP(SchedulerProperty, KeepsThemWithHostMemory, ()) { keeps_its_promises_and_replays(Reuse::kWithHostMemory); }
RC_GTEST_PROP(SchedulerProperty, ServesAllUnderPressure, ()) { serves_all_under_pressure(Reuse::kNone); }
RC_GTEST_PROP(SchedulerProperty, ServesAllUnderPressureWithPrefixReuse, ()) { serves_all_under_pressure(Reuse::kOnDevice); }
RC_GTEST_PROP(SchedulerProperty, ServesAllUnderPressureWithHostMemory, ()) {
  serves_all_under_pressure(Reuse::kWithHostMemory);
}

// Who has nothing in common with anybody gains nothing and loses nothing by reuse as long as nobody is preempted, who
// would find its own blocks again.
RC_GTEST_PROP(SchedulerProperty, ReuseOfNothingChangesNoStep, ()) {
  Case c = *any_case();
  c.limits.kv_blocks = 2000;
  for (Event& e : c.events) {
    e.shared = 0;
    e.goes_on = false;
  }
  const Outcome without = play(c);
  c.limits.prefix_reuse = true;
  const Outcome with = play(c);
  RC_ASSERT(with.last.prefix_hit_tokens == 0);
  RC_ASSERT(with.last.scheduled_tokens == without.last.scheduled_tokens);
  // Which free blocks they get differs: those that are kept are not the lowest free ones.
  const auto but_blocks = [](const std::string& transcript) {
    std::string rest;
    bool skips = false;
    for (const char c : transcript) {
      if (c == ',' || c == ' ' || c == '\n') skips = c == ',';
      if (!skips) rest += c;
    }
    return rest;
  };
  RC_ASSERT(but_blocks(with.transcript) == but_blocks(without.transcript));
}

// Logs drawn by a generator that is the same everywhere.
Case drawn_case(std::mt19937_64& words) {
  const auto draw = [&words](std::uint64_t low, std::uint64_t high) {
    return static_cast<std::int64_t>(low + words() % (high - low));
  };
  Case c;
  c.limits.max_batched_tokens = draw(1, 40);
  c.limits.max_sequences = draw(1, 8);
  c.limits.prefill_chunk = draw(1, 20);
  c.limits.block_tokens = draw(1, 6);
  c.limits.kv_blocks = draw(8, 32);
  c.limits.watermark_blocks = draw(0, 4);
  c.limits.lookahead = static_cast<int>(draw(0, 4));
  c.policy = draw(0, 2) == 0 ? Policy::kDecodeFirst : Policy::kPrefillFirst;
  for (std::int64_t n = draw(10, 60); n > 0; --n) {
    Event e;
    e.kind = static_cast<int>(draw(0, 7));
    e.prompt = static_cast<int>(draw(1, 24));
    e.max_new = static_cast<int>(draw(1, 16));
    e.priority = static_cast<int>(draw(0, 3));
    e.stops = draw(0, 2) == 0;
    c.events.push_back(e);
  }
  return c;
}

// Digest of the steps of 300 logs, block ids included, taken at revision bc4a5a8, before there was any reuse.
TEST(SchedulerProperty, StepsWithoutReuseAreThoseOfBeforeIt) {
  std::mt19937_64 words(20261126);
  std::string transcripts;
  for (int i = 0; i < 300; ++i) transcripts += play(drawn_case(words)).transcript;
  EXPECT_EQ(digest_of_text(transcripts), "3a2e3006f3efee0793a4bb13301e6b48");
}

}  // namespace
}  // namespace lindos::scheduler::model
