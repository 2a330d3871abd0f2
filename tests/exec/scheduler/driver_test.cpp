// SPDX-License-Identifier: Apache-2.0
#include "exec/scheduler/driver.h"

#include <algorithm>
#include <deque>
#include <iterator>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "scenarios/error.h"

namespace lindos::scheduler {
namespace {

// A pipeline on a virtual clock: each stage takes 1 s and one step at a time.
class FakePipeline final : public StepBackend {
 public:
  explicit FakePipeline(int stages) : stages_(stages) {}

  Seconds now() override { return now_; }
  void start(const Step& step) override {
    EXPECT_FALSE(step.empty());
    StepResult result{step.id, {}};
    for (const StepSlice& slice : step.slices) {
      first_seen_.try_emplace(slice.request, now_);
      if (slice.wants_logits) result.sampled.push_back(static_cast<TokenId>(slice.request));
    }
    now_ += Seconds(1);
    in_flight_.push_back({now_ + Seconds(stages_ - 1), std::move(result)});
    most_in_flight_ = std::max(most_in_flight_, in_flight_.size());
  }
  StepResult wait() override {
    now_ = std::max(now_, in_flight_.front().first);
    StepResult result = std::move(in_flight_.front().second);
    in_flight_.pop_front();
    return result;
  }
  void idle_until(Seconds t) override {
    EXPECT_GT(t, now_);
    EXPECT_TRUE(in_flight_.empty());
    now_ = t;
  }

  [[nodiscard]] std::size_t most_in_flight() const { return most_in_flight_; }
  [[nodiscard]] Seconds first_seen(RequestId id) const { return first_seen_.at(id); }

 private:
  int stages_;
  Seconds now_{0};
  std::deque<std::pair<Seconds, StepResult>> in_flight_;
  std::size_t most_in_flight_ = 0;
  std::map<RequestId, Seconds> first_seen_;
};

ServeHooks plain_hooks() {
  ServeHooks hooks;
  hooks.prompt = [](const RequestSpec& spec) {
    return std::vector<TokenId>(static_cast<std::size_t>(spec.prompt_tokens), 1);
  };
  return hooks;
}

Limits limits_with(int lookahead, std::int64_t kv_blocks) {
  Limits limits;
  limits.max_batched_tokens = 32;
  limits.max_sequences = 4;
  limits.prefill_chunk = 16;
  limits.block_tokens = 4;
  limits.kv_blocks = kv_blocks;
  limits.lookahead = lookahead;
  return limits;
}

RC_GTEST_PROP(Serve, EveryTimelineIsCompleteAndAscending, ()) {
  const int stages = *rc::gen::inRange(1, 5);
  const auto gaps = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 9));
  std::vector<RequestSpec> requests;
  Seconds arrival(0);
  for (const int gap : gaps) {
    arrival += Seconds(gap);
    RequestSpec spec;
    spec.id = requests.size();
    spec.arrival = arrival;
    spec.prompt_tokens = *rc::gen::inRange(1, 40);
    spec.output_tokens = *rc::gen::inRange(1, 12);
    requests.push_back(spec);
  }
  // 16 blocks hold one request of 39 + 11 positions (13 blocks), so several together preempt each
  // other.
  Scheduler scheduler(limits_with(stages - 1, 16), Policy::kDecodeFirst);
  FakePipeline backend(stages);
  ServeHooks hooks = plain_hooks();
  std::size_t reported = 0;
  hooks.progress = [&](std::size_t finished, std::size_t) { reported = finished; };
  const ServeOutcome outcome = serve(scheduler, requests, stages, backend, hooks);

  RC_ASSERT(outcome.timelines.size() == requests.size());
  RC_ASSERT(reported == requests.size());
  RC_ASSERT(backend.most_in_flight() <= static_cast<std::size_t>(stages));
  RC_ASSERT(outcome.final_snapshot.blocks_used == 0);
  for (const RequestSpec& spec : requests) {
    const RequestTimeline& timeline = outcome.timelines[spec.id];
    const auto tokens = static_cast<std::size_t>(spec.output_tokens);
    RC_ASSERT(timeline.id == spec.id);
    RC_ASSERT(timeline.arrival == spec.arrival);
    RC_ASSERT(timeline.prompt_tokens == spec.prompt_tokens);
    RC_ASSERT(timeline.token_times.size() == tokens);
    RC_ASSERT(std::is_sorted(timeline.token_times.begin(), timeline.token_times.end()));
    RC_ASSERT(backend.first_seen(spec.id) >= spec.arrival);
    RC_ASSERT(timeline.token_times.front() >= spec.arrival + Seconds(stages));
    RC_ASSERT(outcome.outputs[spec.id] ==
              std::vector<TokenId>(tokens, static_cast<TokenId>(spec.id)));
  }
}

// A loop that is left at any times and given each request only when the time has come does what serve() does.
RC_GTEST_PROP(ServingLoop, WhereItIsLeftChangesNothing, ()) {
  const int stages = *rc::gen::inRange(1, 4);
  const auto gaps = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 9));
  std::vector<RequestSpec> requests;
  Seconds arrival(0);
  for (const int gap : gaps) {
    arrival += Seconds(gap);
    requests.push_back({requests.size(), arrival, *rc::gen::inRange(1, 40), *rc::gen::inRange(1, 12)});
  }
  Scheduler whole_scheduler(limits_with(stages - 1, 16), Policy::kDecodeFirst);
  FakePipeline whole_backend(stages);
  const ServeOutcome whole = serve(whole_scheduler, requests, stages, whole_backend, plain_hooks());

  Scheduler scheduler(limits_with(stages - 1, 16), Policy::kDecodeFirst);
  FakePipeline backend(stages);
  ServingLoop loop(scheduler, stages, backend, plain_hooks());
  std::size_t ended = 0;
  Seconds now(0);
  for (const RequestSpec& request : requests) {
    while (now < request.arrival) {
      now = std::min(request.arrival, now + Seconds(*rc::gen::inRange(1, 5) * 0.5));
      loop.run(now);
      ended += loop.take_endings().size();
    }
    loop.add(request);
  }
  loop.run();
  for (const ServingLoop::Ending& ending : loop.take_endings()) {
    RC_ASSERT(ending.at == whole.timelines[ending.request].token_times.back());
    ++ended;
  }
  RC_ASSERT(ended == requests.size());
  const ServeOutcome outcome = loop.close();
  RC_ASSERT(outcome.timelines == whole.timelines);
  RC_ASSERT(outcome.outputs == whole.outputs);
}

// N clients: never more than N requests at once, each but the first N arrives at the very moment another ends, and
// the order is that of the list.
RC_GTEST_PROP(Serve, AClosedLoopKeepsItsClientsBusy, ()) {
  const int stages = *rc::gen::inRange(1, 4);
  const auto clients = *rc::gen::inRange<std::size_t>(1, 6);
  const auto count = *rc::gen::inRange<std::size_t>(clients, 24);
  std::vector<RequestSpec> requests;
  for (std::size_t i = 0; i < count; ++i) {
    requests.push_back({i, Seconds(0), *rc::gen::inRange(1, 40), *rc::gen::inRange(1, 12), i >= clients});
  }
  Scheduler scheduler(limits_with(stages - 1, 16), Policy::kDecodeFirst);
  FakePipeline backend(stages);
  const ServeOutcome outcome = serve(scheduler, requests, stages, backend, plain_hooks());
  std::vector<Seconds> endings;
  for (const RequestTimeline& t : outcome.timelines) endings.push_back(t.token_times.back());
  std::sort(endings.begin(), endings.end());
  for (std::size_t i = 0; i < count; ++i) {
    const Seconds expected = i < clients ? Seconds(0) : endings[i - clients];
    RC_ASSERT(outcome.timelines[i].arrival == expected);
  }
}

// One stage whose steps take longer the more is cached, with or without foresight.
class FakeReplica final : public StepBackend {
 public:
  explicit FakeReplica(bool foresees) : foresees_(foresees) {}
  Seconds now() override { return now_; }
  void start(const Step& step) override {
    result_ = {step.id, {}};
    std::int64_t cached = 0;
    for (const StepSlice& slice : step.slices) {
      cached += slice.first_position;
      if (slice.wants_logits) result_.sampled.push_back(0);
    }
    now_ += took(cached) + Seconds(0.25 * static_cast<double>(step.copies.size()));
    copied_ += std::ssize(step.copies);
  }
  StepResult wait() override { return result_; }
  void idle_until(Seconds t) override { now_ = t; }
  bool foresees() const override { return foresees_; }
  void run_plain(const PlainDecodes& steps, Seconds before, std::vector<Seconds>& ends) override {
    std::int64_t cached = 0;
    for (const std::int64_t context : steps.contexts) cached += context;
    for (std::int64_t i = 0; i < steps.steps && (i == 0 || now_ < before); ++i) {
      now_ += took(cached + i * std::ssize(steps.contexts));
      ends.push_back(now_);
    }
    foreseen_ += std::ssize(ends);
  }
  [[nodiscard]] std::int64_t foreseen() const { return foreseen_; }
  [[nodiscard]] std::int64_t copied() const { return copied_; }

 private:
  static Seconds took(std::int64_t cached) { return Seconds(0.5 + 0.01 * static_cast<double>(cached)); }
  bool foresees_;
  Seconds now_{0};
  StepResult result_;
  std::int64_t foreseen_ = 0;
  std::int64_t copied_ = 0;
};

RC_GTEST_PROP(Serve, ForesightChangesNothing, ()) {
  const auto gaps = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 12));
  const bool closed_loop = *rc::gen::arbitrary<bool>();
  std::vector<RequestSpec> requests;
  Seconds arrival(0);
  for (const int gap : gaps) {
    RequestSpec spec;
    spec.id = requests.size();
    spec.on_completion = closed_loop && requests.size() >= 3;
    if (!closed_loop) arrival += Seconds(gap);
    spec.arrival = arrival;
    spec.prompt_tokens = *rc::gen::inRange(1, 40);
    spec.output_tokens = *rc::gen::inRange(1, 24);
    requests.push_back(spec);
  }
  // From blocks for one request at a time, where they preempt each other, to more than ever needed.
  Limits limits = limits_with(0, *rc::gen::element<std::int64_t>(16, 24, 400));
  limits.max_batched_tokens = *rc::gen::element<std::int64_t>(3, 32);
  limits.prefill_chunk = std::min<std::int64_t>(limits.prefill_chunk, limits.max_batched_tokens);
  const auto policy = *rc::gen::element(Policy::kDecodeFirst, Policy::kPrefillFirst);
  limits.prefix_reuse = *rc::gen::arbitrary<bool>();
  if (limits.prefix_reuse) limits.host_blocks = *rc::gen::element<std::int64_t>(0, 6, 40);
  // All begin alike, some go on alike; a sampled 0 is a token that prompts have too.
  ServeHooks hooks = plain_hooks();
  hooks.prompt = [](const RequestSpec& spec) {
    std::vector<TokenId> prompt(static_cast<std::size_t>(spec.prompt_tokens), 0);
    for (std::size_t i = 6 * (spec.id % 4); i < prompt.size(); ++i) prompt[i] = static_cast<TokenId>(spec.id);
    return prompt;
  };
  const auto served = [&](FakeReplica& backend) {
    Scheduler scheduler(limits, policy);
    return serve(scheduler, requests, 1, backend, hooks);
  };
  FakeReplica blind(false);
  FakeReplica foreseeing(true);
  const ServeOutcome a = served(blind);
  const ServeOutcome b = served(foreseeing);
  RC_ASSERT(a.outputs == b.outputs);
  RC_ASSERT(a.final_snapshot.preemptions == b.final_snapshot.preemptions);
  RC_ASSERT(a.final_snapshot.scheduled_tokens == b.final_snapshot.scheduled_tokens);
  RC_ASSERT(a.final_snapshot.blocks_cached == b.final_snapshot.blocks_cached);
  RC_ASSERT(a.final_snapshot.prefix_hit_tokens == b.final_snapshot.prefix_hit_tokens);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    RC_ASSERT(a.timelines[i].arrival == b.timelines[i].arrival);
    RC_ASSERT(a.timelines[i].token_times == b.timelines[i].token_times);
  }
  RC_CLASSIFY(foreseeing.foreseen() > 0, "foreseen");
  RC_ASSERT(blind.copied() == foreseeing.copied());
  RC_CLASSIFY(a.final_snapshot.prefix_hit_tokens > 0, "hits");
  RC_CLASSIFY(a.final_snapshot.host_hit_tokens > 0, "hits in host memory");
}

// Counted again from the finished timelines: a request is turned away where as many as the bound are unfinished when it
// arrives, and all others are answered in full.
RC_GTEST_PROP(Serve, TurnsAwayWhatABoundDoesNotLetIn, ()) {
  const int stages = *rc::gen::inRange(1, 4);
  const auto bound = *rc::gen::inRange<std::size_t>(1, 6);
  const auto gaps = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 9));
  std::vector<RequestSpec> requests;
  Seconds arrival(0);
  for (const int gap : gaps) {
    arrival += Seconds(gap * 0.2503);  // nobody arrives at the very end of a step
    requests.push_back({requests.size(), arrival, *rc::gen::inRange(1, 40), *rc::gen::inRange(1, 12)});
  }
  AdmissionLimits limits;
  limits.unfinished.replica = static_cast<std::int64_t>(bound);
  ServeHooks hooks = plain_hooks();
  hooks.admission.emplace(limits, std::vector<Tenant>{});
  Scheduler scheduler(limits_with(stages - 1, 64), Policy::kDecodeFirst);
  FakePipeline backend(stages);
  const ServeOutcome outcome = serve(scheduler, requests, stages, backend, hooks);
  std::size_t refused = 0;
  for (const RequestSpec& spec : requests) {
    std::size_t unfinished = 0;
    for (std::uint64_t before = 0; before < spec.id; ++before) {
      const RequestTimeline& other = outcome.timelines[before];
      if (!other.turned_away() && other.token_times.back() > spec.arrival) ++unfinished;
    }
    const RequestTimeline& own = outcome.timelines[spec.id];
    RC_ASSERT(own.arrival == spec.arrival);
    RC_ASSERT(own.turned_away() == (unfinished >= bound));
    RC_ASSERT(own.turned_away() || own.token_times.size() == static_cast<std::size_t>(spec.output_tokens));
    refused += own.turned_away() ? 1U : 0U;
  }
  RC_CLASSIFY(refused > 0, "refused");
  RC_ASSERT(scheduler.idle());
}

// Two clients, 0.5 requests/s with a burst of 2, steps of 1 s, by hand: both ask at 0 and are answered at 3 (prompt and
// first token in the first step). The bucket holds 1.5 then: request 2 is let in; the other client asks 3, 4 and 5 in
// vain, one right after the other. Request 2 ends alone at 6.
TEST(Serve, AClientThatIsTurnedAwayAsksItsNextAtOnce) {
  std::vector<RequestSpec> requests;
  for (std::uint64_t i = 0; i < 6; ++i) requests.push_back({i, Seconds(0), 4, 3, i >= 2});
  AdmissionLimits limits;
  limits.tenants = {{"a", {Hertz(0.5), 2}, {}}};
  ServeHooks hooks = plain_hooks();
  hooks.admission.emplace(limits, std::vector<Tenant>{{"a", 1.0}});
  Scheduler scheduler(limits_with(0, 64), Policy::kDecodeFirst);
  FakePipeline backend(1);
  const ServeOutcome outcome = serve(scheduler, requests, 1, backend, hooks);
  for (const std::size_t i : {0, 1, 2}) EXPECT_FALSE(outcome.timelines[i].turned_away()) << i;
  for (const std::size_t i : {3, 4, 5}) {
    EXPECT_TRUE(outcome.timelines[i].turned_away()) << i;
    EXPECT_EQ(outcome.timelines[i].arrival, Seconds(3)) << i;
  }
  EXPECT_EQ(outcome.timelines[2].arrival, Seconds(3));
  EXPECT_EQ(outcome.timelines[2].token_times.back(), Seconds(6));
}

TEST(Serve, EndsWhereEveryRequestIsTurnedAway) {
  AdmissionLimits limits;
  limits.tenants = {{"a", {}, {Hertz(1.0), 5}}};
  ServeHooks hooks = plain_hooks();
  hooks.admission.emplace(limits, std::vector<Tenant>{{"a", 1.0}});
  Scheduler scheduler(limits_with(0, 64), Policy::kDecodeFirst);
  FakePipeline backend(1);
  const ServeOutcome outcome = serve(scheduler, {{0, Seconds(0), 4, 3}, {1, Seconds(7), 4, 3}}, 1, backend, hooks);
  EXPECT_TRUE(outcome.timelines[0].turned_away());
  EXPECT_TRUE(outcome.timelines[1].turned_away());
}

// Of two that wait, the one of higher priority is computed first, whenever it came.
RC_GTEST_PROP(Serve, NobodyWaitsBehindALowerPriority, ()) {
  const int stages = *rc::gen::inRange(1, 4);
  const auto gaps = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 4));
  std::vector<RequestSpec> requests;
  Seconds arrival(0);
  for (const int gap : gaps) {
    arrival += Seconds(gap * 0.5);
    RequestSpec spec{requests.size(), arrival, *rc::gen::inRange(1, 40), *rc::gen::inRange(1, 12)};
    spec.priority = *rc::gen::inRange(0, 3);
    requests.push_back(spec);
  }
  Scheduler scheduler(limits_with(stages - 1, 16), *rc::gen::element(Policy::kDecodeFirst, Policy::kPrefillFirst));
  FakePipeline backend(stages);
  static_cast<void>(serve(scheduler, requests, stages, backend, plain_hooks()));
  std::size_t overtaken = 0;
  for (const RequestSpec& high : requests) {
    for (const RequestSpec& low : requests) {
      if (low.priority >= high.priority || high.arrival > backend.first_seen(low.id)) continue;
      RC_ASSERT(backend.first_seen(high.id) <= backend.first_seen(low.id));
      if (low.id < high.id) ++overtaken;
    }
  }
  RC_CLASSIFY(overtaken > 0, "overtaken");
}

TEST(Serve, KeepsAPipelineFull) {
  Scheduler scheduler(limits_with(1, 64), Policy::kDecodeFirst);
  FakePipeline backend(2);
  const std::vector<RequestSpec> requests = {{0, Seconds(5), 4, 3}, {1, Seconds(5), 4, 3}};
  const ServeOutcome outcome = serve(scheduler, requests, 2, backend, plain_hooks());
  // Request 0 runs in steps 1, 3, 5 and request 1 in steps 2, 4, 6; a step enters each second and
  // leaves two seconds later, so no stage idles in between.
  EXPECT_THAT(outcome.timelines[0].token_times,
              ::testing::ElementsAre(Seconds(7), Seconds(9), Seconds(11)));
  EXPECT_THAT(outcome.timelines[1].token_times,
              ::testing::ElementsAre(Seconds(8), Seconds(10), Seconds(12)));
  EXPECT_EQ(backend.most_in_flight(), 2u);
}

TEST(Serve, ReportsARequestThatCannotFit) {
  Scheduler scheduler(limits_with(0, 2), Policy::kDecodeFirst);
  FakePipeline backend(1);
  try {
    static_cast<void>(serve(scheduler, {{3, Seconds(0), 40, 1}}, 1, backend, plain_hooks()));
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInfeasible);
    EXPECT_STREQ(error.what(), "request 3: needs 10 KV blocks, the pool has 2");
  }
}

TEST(Serve, StopsWhenCancelled) {
  Scheduler scheduler(limits_with(0, 64), Policy::kDecodeFirst);
  FakePipeline backend(1);
  ServeHooks hooks = plain_hooks();
  int polls = 0;
  hooks.cancelled = [&polls] { return ++polls == 4; };
  try {
    static_cast<void>(serve(scheduler, {{0, Seconds(0), 4, 100}}, 1, backend, hooks));
    FAIL() << "not cancelled";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kCancelled);
  }
}

}  // namespace
}  // namespace lindos::scheduler
