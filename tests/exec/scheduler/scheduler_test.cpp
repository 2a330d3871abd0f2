// SPDX-License-Identifier: Apache-2.0
#include "exec/scheduler/scheduler.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scenarios/error.h"

namespace lindos::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Request make(RequestId id, std::size_t prompt, std::int64_t max_new, int priority = 0) {
  Request request;
  request.id = id;
  request.prompt.resize(prompt);
  std::iota(request.prompt.begin(), request.prompt.end(), static_cast<TokenId>(100 * id));
  request.max_new_tokens = max_new;
  request.priority = priority;
  return request;
}

Limits roomy() {
  Limits limits;
  limits.max_batched_tokens = 64;
  limits.max_sequences = 8;
  limits.prefill_chunk = 16;
  limits.block_tokens = 4;
  limits.kv_blocks = 64;
  return limits;
}

void submit(Scheduler& scheduler, const Request& request) {
  const Admission admission = scheduler.submit(request);
  ASSERT_TRUE(std::holds_alternative<Queued>(admission)) << std::get<Rejected>(admission).reason;
}

// One word per slice: id@first+count, with d for decodes and ! where logits are wanted.
std::vector<std::string> words(const Step& step) {
  std::vector<std::string> out;
  for (const StepSlice& s : step.slices) {
    out.push_back((s.is_decode ? "d" : "") + std::to_string(s.request) + "@" +
                  std::to_string(s.first_position) + "+" + std::to_string(s.tokens.size()) +
                  (s.wants_logits ? "!" : ""));
  }
  return out;
}

void complete(Scheduler& scheduler, const Step& step, TokenId token = 7) {
  StepResult result{step.id, {}};
  for (const StepSlice& s : step.slices) {
    if (s.wants_logits) result.sampled.push_back(token);
  }
  scheduler.complete(result);
}

TEST(Scheduler, APromptWhoseKvComesAlongIsDecodedAtOnce) {
  Scheduler scheduler(roomy(), Policy::kDecodeFirst);
  Request request = make(1, 21, 3);
  request.kv_tokens = 20;
  submit(scheduler, request);
  const Step step = scheduler.plan();
  EXPECT_THAT(words(step), ElementsAre("d1@20+1!"));
  EXPECT_THAT(step.slices[0].tokens, ElementsAre(120));
  EXPECT_THAT(step.slices[0].blocks, ElementsAre(0, 1, 2, 3, 4, 5));
  complete(scheduler, step);
  EXPECT_THAT(words(scheduler.plan()), ElementsAre("d1@21+1!"));
}

// 5 blocks of 4. Both requests hold 2 from the start; the first takes the fifth at position 8, and at position 12 those
// of the second, whose KV is computed again when the first has ended: 8 prompt tokens and the one it got.
TEST(Scheduler, KvThatCameAlongIsComputedAgainAfterAPreemption) {
  Limits limits = roomy();
  limits.kv_blocks = 5;
  Scheduler scheduler(limits, Policy::kDecodeFirst);
  for (const RequestId id : {RequestId{1}, RequestId{2}}) {
    Request request = make(id, 8, 10);
    request.kv_tokens = 7;
    submit(scheduler, request);
  }
  Step step = scheduler.plan();
  EXPECT_THAT(words(step), ElementsAre("d1@7+1!", "d2@7+1!"));
  std::vector<RequestId> preempted;
  while (scheduler.take_finished().empty()) {
    complete(scheduler, step);
    step = scheduler.plan();
    preempted.insert(preempted.end(), step.preempted.begin(), step.preempted.end());
    if (!step.slices.empty() && step.slices[0].request == 2) break;
  }
  EXPECT_THAT(preempted, ElementsAre(2));
  EXPECT_THAT(words(step), ElementsAre("2@0+9!"));
}

TEST(Scheduler, KvOfPartOfAPromptIsRefused) {
  Scheduler scheduler(roomy(), Policy::kDecodeFirst);
  Request request = make(1, 8, 2);
  request.kv_tokens = 8;
  const Admission admission = scheduler.submit(request);
  ASSERT_TRUE(std::holds_alternative<Rejected>(admission));
  EXPECT_EQ(std::get<Rejected>(admission).reason, "KV of 8 tokens comes along, of all but the last it would be 7");
}

TEST(Scheduler, ChunksAPromptAndThenDecodes) {
  Scheduler scheduler(roomy(), Policy::kDecodeFirst);
  submit(scheduler, make(1, 20, 2));

  Step step = scheduler.plan();
  EXPECT_EQ(step.id, 1u);
  EXPECT_THAT(words(step), ElementsAre("1@0+16"));
  EXPECT_EQ(step.slices[0].tokens.front(), 100);
  EXPECT_THAT(step.slices[0].blocks, ElementsAre(0, 1, 2, 3));
  EXPECT_TRUE(scheduler.plan().empty());  // in flight
  complete(scheduler, step);

  step = scheduler.plan();
  EXPECT_THAT(words(step), ElementsAre("1@16+4!"));
  complete(scheduler, step, 42);
  EXPECT_THAT(scheduler.take_finished(), IsEmpty());

  step = scheduler.plan();
  EXPECT_THAT(words(step), ElementsAre("d1@20+1!"));
  EXPECT_THAT(step.slices[0].tokens, ElementsAre(42));
  EXPECT_THAT(step.slices[0].blocks, ElementsAre(0, 1, 2, 3, 4, 5));
  complete(scheduler, step, 43);

  const std::vector<Finished> finished = scheduler.take_finished();
  ASSERT_EQ(finished.size(), 1u);
  EXPECT_EQ(finished[0].reason, FinishReason::kLength);
  EXPECT_THAT(finished[0].output, ElementsAre(42, 43));
  EXPECT_TRUE(scheduler.idle());
  EXPECT_EQ(scheduler.snapshot().blocks_free, 64);
  EXPECT_EQ(scheduler.snapshot().scheduled_tokens, 21);
}

TEST(Scheduler, MixesDecodesBegunAndWaitingPromptsInOneBudget) {
  Limits limits = roomy();
  limits.max_batched_tokens = 20;
  Scheduler scheduler(limits, Policy::kDecodeFirst);
  submit(scheduler, make(1, 4, 8));
  submit(scheduler, make(2, 30, 8));
  submit(scheduler, make(3, 30, 8));
  Step step = scheduler.plan();
  EXPECT_THAT(words(step), ElementsAre("1@0+4!", "2@0+16"));  // 20 of 20 tokens
  complete(scheduler, step);
  // 1 decode, then 2 goes on with what is left of its prompt, 3 enters with the remaining 5.
  step = scheduler.plan();
  EXPECT_THAT(words(step), ElementsAre("d1@4+1!", "2@16+14!", "3@0+5"));
}

TEST(Scheduler, PrefillFirstLetsDecodesWait) {
  Limits limits = roomy();
  limits.max_batched_tokens = 17;
  Scheduler scheduler(limits, Policy::kPrefillFirst);
  submit(scheduler, make(1, 4, 8));
  complete(scheduler, scheduler.plan());
  submit(scheduler, make(2, 30, 8));
  submit(scheduler, make(3, 30, 8));
  Step step = scheduler.plan();
  EXPECT_THAT(words(step), ElementsAre("2@0+16", "3@0+1"));
  complete(scheduler, step);
  step = scheduler.plan();
  EXPECT_THAT(words(step), ElementsAre("2@16+14!", "3@1+3"));
  complete(scheduler, step);
  step = scheduler.plan();
  // 3 has its chunk of 16; the decode of 1 takes the last token and stands in front.
  EXPECT_THAT(words(step), ElementsAre("d1@4+1!", "3@4+16"));
}

TEST(Scheduler, PreemptsTheLatestRequestAndRecomputesIt) {
  Limits limits = roomy();
  limits.kv_blocks = 4;  // 16 positions
  Scheduler scheduler(limits, Policy::kDecodeFirst);
  submit(scheduler, make(1, 7, 6));
  submit(scheduler, make(2, 7, 6));
  for (TokenId token : {11, 12}) complete(scheduler, scheduler.plan(), token);
  // Both computed 8 positions in two blocks each and now need a third one.
  Step step = scheduler.plan();
  EXPECT_THAT(words(step), ElementsAre("d1@8+1!"));
  EXPECT_THAT(step.preempted, ElementsAre(2));
  EXPECT_EQ(scheduler.snapshot().waiting, 1);
  complete(scheduler, step, 13);
  // 2 waits until 1 has ended: 7 prompt and 2 output tokens need 3 blocks, 1 holds 3 of 4.
  for (TokenId token : {14, 15, 16}) {
    step = scheduler.plan();
    ASSERT_THAT(words(step), ElementsAre(HasSubstr("d1@")));
    complete(scheduler, step, token);
  }
  step = scheduler.plan();
  EXPECT_THAT(words(step), ElementsAre("2@0+9!"));
  EXPECT_THAT(step.slices[0].tokens, ElementsAre(200, 201, 202, 203, 204, 205, 206, 11, 12));
  for (TokenId token : {23, 24, 25, 26}) {
    complete(scheduler, step, token);
    step = scheduler.plan();
  }
  const std::vector<Finished> finished = scheduler.take_finished();
  ASSERT_EQ(finished.size(), 2u);
  EXPECT_THAT(finished[0].output, ElementsAre(11, 12, 13, 14, 15, 16));
  EXPECT_THAT(finished[1].output, ElementsAre(11, 12, 23, 24, 25, 26));
  EXPECT_EQ(scheduler.snapshot().preemptions, 1);
}

TEST(Scheduler, PreemptsTheLowestPriorityFirst) {
  Limits limits = roomy();
  limits.kv_blocks = 5;
  Scheduler scheduler(limits, Policy::kDecodeFirst);
  submit(scheduler, make(1, 4, 6, /*priority=*/0));
  submit(scheduler, make(2, 4, 6, /*priority=*/9));
  submit(scheduler, make(3, 4, 6, /*priority=*/9));
  Step step = scheduler.plan();
  EXPECT_THAT(words(step), ElementsAre("2@0+4!", "3@0+4!", "1@0+4!"));
  complete(scheduler, step);
  step = scheduler.plan();  // three blocks are asked for, two are free
  EXPECT_THAT(words(step), ElementsAre("d2@4+1!", "d3@4+1!"));
  EXPECT_THAT(step.preempted,
              IsEmpty());  // 1 found nobody after itself: it sits out and keeps its block
  for (int i = 0; i < 4; ++i) {
    complete(scheduler, step);
    step = scheduler.plan();
  }
  // 2 and 3 need a third block each: 1 must go, its block helps 2, and 3 may not preempt 2.
  EXPECT_THAT(words(step), ElementsAre("d2@8+1!"));
  EXPECT_THAT(step.preempted, ElementsAre(1));
}

TEST(Scheduler, KeepsTheWatermarkFreeWhenOthersRun) {
  Limits limits = roomy();
  limits.kv_blocks = 4;
  limits.watermark_blocks = 3;
  Scheduler scheduler(limits, Policy::kDecodeFirst);
  submit(scheduler, make(1, 8, 4));  // nothing runs: enters although only 2 blocks stay free
  submit(scheduler, make(2, 4, 4));
  EXPECT_THAT(words(scheduler.plan()), ElementsAre("1@0+8!"));
}

TEST(Scheduler, ABegunPromptKeepsItsClaimOnBlocks) {
  Limits limits = roomy();
  limits.kv_blocks = 10;
  limits.prefill_chunk = 8;
  Scheduler scheduler(limits, Policy::kDecodeFirst);
  submit(scheduler, make(1, 32, 1));  // 8 blocks, 2 of them in the first step
  submit(scheduler, make(2, 12, 1));  // 3 blocks: 8 are free, but only 2 are not spoken for
  Step step = scheduler.plan();
  EXPECT_THAT(words(step), ElementsAre("1@0+8"));
  complete(scheduler, step);
  EXPECT_THAT(words(scheduler.plan()), ElementsAre("1@8+8"));  // 6 free, 4 of them spoken for
}

TEST(Scheduler, RejectsWhatCanNeverRun) {
  Limits limits = roomy();
  limits.kv_blocks = 4;  // 16 positions
  limits.max_waiting = 1;
  Scheduler scheduler(limits, Policy::kDecodeFirst);
  // 10 + 8 tokens, of which the last needs no KV: 17 positions, 5 blocks.
  const auto too_long = std::get<Rejected>(scheduler.submit(make(1, 10, 8)));
  EXPECT_EQ(too_long.reason, "needs 5 KV blocks, the pool has 4");
  EXPECT_EQ(too_long.needed, 5);
  EXPECT_EQ(too_long.available, 4);
  const auto absurd =
      std::get<Rejected>(scheduler.submit(make(1, 1, std::numeric_limits<std::int64_t>::max())));
  EXPECT_EQ(absurd.available, 4);
  EXPECT_THAT(std::get<Rejected>(scheduler.submit(make(1, 0, 8))).reason, HasSubstr("empty"));
  EXPECT_THAT(std::get<Rejected>(scheduler.submit(make(1, 4, 0))).reason,
              HasSubstr("max_new_tokens is 0"));
  submit(scheduler, make(1, 10, 7));  // 16 positions fit
  EXPECT_THAT(std::get<Rejected>(scheduler.submit(make(1, 4, 4))).reason,
              HasSubstr("has not ended"));
  const auto full = std::get<Rejected>(scheduler.submit(make(2, 4, 4)));
  EXPECT_EQ(full.needed, 2);
  EXPECT_EQ(full.available, 1);
}

TEST(Scheduler, StopsAtAStopTokenAndKeepsIt) {
  Scheduler scheduler(roomy(), Policy::kDecodeFirst);
  Request request = make(1, 4, 10);
  request.stop_tokens = {5, 9};
  submit(scheduler, request);
  complete(scheduler, scheduler.plan(), 8);
  complete(scheduler, scheduler.plan(), 9);
  const std::vector<Finished> finished = scheduler.take_finished();
  ASSERT_EQ(finished.size(), 1u);
  EXPECT_EQ(finished[0].reason, FinishReason::kStop);
  EXPECT_THAT(finished[0].output, ElementsAre(8, 9));
}

TEST(Scheduler, CancelsARequestInFlightWhenItsStepCompletes) {
  Scheduler scheduler(roomy(), Policy::kDecodeFirst);
  submit(scheduler, make(1, 4, 10));
  const Step step = scheduler.plan();
  scheduler.cancel(1);
  scheduler.cancel(99);
  EXPECT_THAT(scheduler.take_finished(), IsEmpty());
  EXPECT_EQ(scheduler.snapshot().blocks_used, 1);
  EXPECT_FALSE(scheduler.idle());
  complete(scheduler, step);
  const std::vector<Finished> finished = scheduler.take_finished();
  ASSERT_EQ(finished.size(), 1u);
  EXPECT_EQ(finished[0].reason, FinishReason::kCancelled);
  EXPECT_TRUE(scheduler.idle());
}

TEST(Scheduler, RefusesAResultThatDoesNotBelong) {
  Scheduler scheduler(roomy(), Policy::kDecodeFirst);
  EXPECT_THROW(scheduler.complete({1, {}}), Error);
  submit(scheduler, make(1, 4, 10));
  const Step step = scheduler.plan();
  EXPECT_THROW(scheduler.complete({step.id + 1, {7}}), Error);
  EXPECT_THROW(scheduler.complete({step.id, {}}), Error);
  EXPECT_THROW(scheduler.complete({step.id, {7, 7}}), Error);
  complete(scheduler, step);  // the refusals changed nothing
  EXPECT_THAT(words(scheduler.plan()), ElementsAre("d1@4+1!"));
}

TEST(Scheduler, NamesABadLimit) {
  Limits limits = roomy();
  limits.prefill_chunk = 0;
  try {
    Scheduler scheduler(limits, Policy::kDecodeFirst);
    FAIL() << "a chunk of no tokens was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_THAT(error.what(), HasSubstr("prefill_chunk: expected 1 to"));
  }
}

TEST(Scheduler, LookaheadFillsThePipelineWithDisjointSteps) {
  Limits limits = roomy();
  limits.lookahead = 1;
  Scheduler scheduler(limits, Policy::kDecodeFirst);
  for (RequestId id = 1; id <= 5; ++id) submit(scheduler, make(id, 4, 8));
  // Five may enter, ⌈5 / 2⌉ = 3 in the first step; by tokens ⌈20 / 2⌉ = 10: the third brings 8
  // to 12.
  const Step first = scheduler.plan();
  EXPECT_THAT(words(first), ElementsAre("1@0+4!", "2@0+4!", "3@0+4!"));
  const Step second = scheduler.plan();
  EXPECT_THAT(words(second), ElementsAre("4@0+4!", "5@0+4!"));
  EXPECT_TRUE(scheduler.plan().empty());
  complete(scheduler, first);
  EXPECT_THAT(words(scheduler.plan()), ElementsAre("d1@4+1!", "d2@4+1!", "d3@4+1!"));
  complete(scheduler, second);
  EXPECT_THAT(words(scheduler.plan()), ElementsAre("d4@4+1!", "d5@4+1!"));
}

TEST(Scheduler, LookaheadBalancesPromptTokens) {
  Limits limits = roomy();
  limits.lookahead = 1;
  Scheduler scheduler(limits, Policy::kDecodeFirst);
  for (const std::size_t prompt : {16, 12, 2, 2}) {
    submit(scheduler, make(prompt + scheduler.snapshot().waiting * 100, prompt, 8));
  }
  // Share 32 / 2 = 16: the first prompt is a step of its own although two sequences were allowed.
  const Step first = scheduler.plan();
  EXPECT_EQ(first.slices.size(), 1u);
  EXPECT_EQ(first.tokens(), 16);
  EXPECT_EQ(scheduler.plan().tokens(), 14);  // ⌈4 / 2⌉ = 2 sequences: 12 + 2
}

// As make(2, …), but its first `shared` tokens are those of make(1, …).
Request alike(std::size_t shared, std::size_t prompt, std::int64_t max_new) {
  Request request = make(2, prompt, max_new);
  std::iota(request.prompt.begin(), request.prompt.begin() + static_cast<std::ptrdiff_t>(shared), 100);
  return request;
}

Limits reusing() {
  Limits limits = roomy();
  limits.prefix_reuse = true;
  return limits;
}

TEST(PrefixReuse, BeginsAfterTheBlocksOfAnEarlierPrompt) {
  Scheduler scheduler(reusing(), Policy::kDecodeFirst);
  submit(scheduler, make(1, 14, 1));
  complete(scheduler, scheduler.plan());
  EXPECT_EQ(scheduler.snapshot().blocks_cached, 3);  // 14 tokens fill three blocks of four
  EXPECT_EQ(scheduler.snapshot().blocks_used, 0);
  EXPECT_EQ(scheduler.snapshot().blocks_free, 61);
  submit(scheduler, alike(14, 20, 1));
  const Step step = scheduler.plan();
  EXPECT_THAT(words(step), ElementsAre("2@12+8!"));
  EXPECT_THAT(step.slices[0].blocks, ElementsAre(0, 1, 2, 3, 4));
  EXPECT_EQ(scheduler.snapshot().prefix_query_tokens, 34);
  EXPECT_EQ(scheduler.snapshot().prefix_hit_tokens, 12);
  complete(scheduler, step);
  EXPECT_EQ(scheduler.snapshot().scheduled_tokens, 14 + 8);
}

TEST(PrefixReuse, IsOffUnlessAskedFor) {
  Scheduler scheduler(roomy(), Policy::kDecodeFirst);
  submit(scheduler, make(1, 14, 1));
  complete(scheduler, scheduler.plan());
  EXPECT_EQ(scheduler.snapshot().blocks_cached, 0);
  submit(scheduler, alike(14, 20, 1));
  EXPECT_THAT(words(scheduler.plan()), ElementsAre("2@0+16"));
  EXPECT_EQ(scheduler.snapshot().prefix_query_tokens, 0);
}

TEST(PrefixReuse, TheLastTokenOfAPromptIsComputed) {
  Scheduler scheduler(reusing(), Policy::kDecodeFirst);
  submit(scheduler, make(1, 16, 1));
  complete(scheduler, scheduler.plan());
  submit(scheduler, alike(16, 16, 1));
  const Step step = scheduler.plan();
  EXPECT_THAT(words(step), ElementsAre("2@12+4!"));
  complete(scheduler, step);
  // Its last block is the one that was there: the new one is free again.
  EXPECT_EQ(scheduler.snapshot().blocks_cached, 4);
}

TEST(PrefixReuse, ARunningRequestSharesItsBlocks) {
  Scheduler scheduler(reusing(), Policy::kDecodeFirst);
  submit(scheduler, make(1, 16, 9));
  complete(scheduler, scheduler.plan());
  submit(scheduler, alike(16, 18, 9));
  const Step step = scheduler.plan();
  EXPECT_THAT(words(step), ElementsAre("d1@16+1!", "2@16+2!"));
  EXPECT_THAT(step.slices[0].blocks, ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(step.slices[1].blocks, ElementsAre(0, 1, 2, 3, 5));
  EXPECT_EQ(scheduler.snapshot().blocks_used, 6);
}

// The pool has 6 blocks; the first request holds 5 of them, of which the second needs 4 and one of its own.
TEST(PrefixReuse, SharedBlocksCostNoRoom) {
  Limits limits = reusing();
  limits.kv_blocks = 6;
  Scheduler scheduler(limits, Policy::kDecodeFirst);
  submit(scheduler, make(1, 16, 4));
  complete(scheduler, scheduler.plan());
  submit(scheduler, alike(16, 18, 2));
  EXPECT_THAT(words(scheduler.plan()), ElementsAre("d1@16+1!", "2@16+2!"));
}

TEST(PrefixReuse, WhatAnAnswerSaidIsFoundByTheNextQuestion) {
  Scheduler scheduler(reusing(), Policy::kDecodeFirst);
  submit(scheduler, make(1, 6, 4));
  for (TokenId token : {11, 12, 13, 14}) complete(scheduler, scheduler.plan(), token);
  Request next = make(1, 6, 1);
  next.id = 2;
  for (const TokenId token : {11, 12, 13, 14, 15, 16}) next.prompt.push_back(token);
  submit(scheduler, next);
  // The last sampled token was never fed back: 9 positions were computed, two blocks are full.
  EXPECT_THAT(words(scheduler.plan()), ElementsAre("2@8+4!"));
}

TEST(PrefixReuse, EvictsWhatIsLongestWithoutAnOwner) {
  Limits limits = reusing();
  limits.kv_blocks = 8;
  Scheduler scheduler(limits, Policy::kDecodeFirst);
  for (const RequestId id : {1, 3}) {
    submit(scheduler, make(id, 16, 1));
    complete(scheduler, scheduler.plan());
  }
  EXPECT_EQ(scheduler.snapshot().blocks_cached, 8);
  submit(scheduler, make(4, 6, 1));  // two blocks: the last ones of request 1
  complete(scheduler, scheduler.plan());
  submit(scheduler, alike(16, 16, 1));
  EXPECT_THAT(words(scheduler.plan()), ElementsAre("2@8+8!"));
}

// As EvictsWhatIsLongestWithoutAnOwner, but host memory has three blocks: the two that had to go lie there.
TEST(PrefixReuse, HostMemoryKeepsWhatThePoolHasNoRoomFor) {
  Limits limits = reusing();
  limits.kv_blocks = 8;
  limits.host_blocks = 3;
  Scheduler scheduler(limits, Policy::kDecodeFirst);
  for (const RequestId id : {1, 3}) {
    submit(scheduler, make(id, 16, 1));
    const Step step = scheduler.plan();
    EXPECT_THAT(step.copies, IsEmpty());
    complete(scheduler, step);
  }
  submit(scheduler, make(4, 6, 1));
  const Step evicts = scheduler.plan();
  using To = KvCopy::To;
  // Leaf before parent: the fourth block of request 1, then its third.
  EXPECT_THAT(evicts.copies, ElementsAre(KvCopy{To::kHost, 3, 0}, KvCopy{To::kHost, 2, 1}));
  complete(scheduler, evicts);
  EXPECT_EQ(scheduler.snapshot().blocks_on_host, 2);
  // 20 tokens that begin as request 1: blocks 0 and 1 are there, two come back and one is computed. The pool holds a block of
  // request 4, free is its half full one; two of request 3 have to go, of which host memory has room for the first, and for the
  // second only in place of what it took last; all else there is on its way back.
  submit(scheduler, alike(16, 20, 1));
  const Step step = scheduler.plan();
  EXPECT_THAT(words(step), ElementsAre("2@16+4!"));
  EXPECT_EQ(scheduler.snapshot().prefix_hit_tokens, 16);
  EXPECT_EQ(scheduler.snapshot().host_hit_tokens, 8);
  ASSERT_EQ(step.slices[0].blocks.size(), 5u);
  EXPECT_THAT(std::vector(step.slices[0].blocks.begin(), step.slices[0].blocks.begin() + 2), ElementsAre(0, 1));
  std::vector<KvCopy> back;
  for (const KvCopy& copy : step.copies) {
    if (copy.to == To::kDevice) back.push_back(copy);
  }
  EXPECT_THAT(back, ElementsAre(KvCopy{To::kDevice, step.slices[0].blocks[2], 1}, KvCopy{To::kDevice, step.slices[0].blocks[3], 0}));
}

TEST(PrefixReuse, HostMemoryNeedsReuse) {
  Limits limits = roomy();
  limits.host_blocks = 1;
  EXPECT_THROW(Scheduler(limits, Policy::kDecodeFirst), Error);
}

// As PreemptsTheLatestRequestAndRecomputesIt; of the 9 tokens of the second, two blocks of four were full. One had to
// go for the first request's third block, its other one is found again.
TEST(PrefixReuse, APreemptedRequestFindsItsOwnBlocks) {
  Limits limits = reusing();
  limits.kv_blocks = 4;
  Scheduler scheduler(limits, Policy::kDecodeFirst);
  submit(scheduler, make(1, 7, 6));
  submit(scheduler, make(2, 7, 6));
  for (TokenId token : {11, 12}) complete(scheduler, scheduler.plan(), token);
  Step step = scheduler.plan();
  EXPECT_THAT(step.preempted, ElementsAre(2));
  EXPECT_EQ(scheduler.snapshot().blocks_cached, 1);
  for (TokenId token : {13, 14, 15, 16}) {
    ASSERT_THAT(words(step), ElementsAre(HasSubstr("d1@")));
    complete(scheduler, step, token);
    step = scheduler.plan();
  }
  EXPECT_THAT(words(step), ElementsAre("2@4+5!"));
  EXPECT_EQ(scheduler.snapshot().prefix_query_tokens, 14);  // entering again asks nothing
  EXPECT_EQ(scheduler.snapshot().prefix_hit_tokens, 0);
}

// The second prompt is the first and four of the tokens it sampled, so that a block of the first is there twice until it
// is given up. Preempting the first frees two blocks; the second takes one, and the first needs only the other one. It
// could come back at once, but a step that preempts a request does not run it.
TEST(PrefixReuse, APreemptedRequestDoesNotComeBackInTheSameStep) {
  Limits limits = reusing();
  limits.kv_blocks = 5;
  Scheduler scheduler(limits, Policy::kDecodeFirst);
  submit(scheduler, make(1, 4, 16));
  for (int i = 0; i < 6; ++i) complete(scheduler, scheduler.plan());
  Request other = make(2, 11, 8, /*priority=*/9);
  const std::vector<TokenId> beginning = {100, 101, 102, 103, 7, 7, 7, 7};
  std::copy(beginning.begin(), beginning.end(), other.prompt.begin());
  submit(scheduler, other);
  Step step = scheduler.plan();
  EXPECT_THAT(words(step), ElementsAre("d1@9+1!", "2@4+7!"));
  complete(scheduler, step);
  step = scheduler.plan();
  EXPECT_THAT(words(step), ElementsAre("d2@11+1!", "d1@10+1!"));
  EXPECT_EQ(scheduler.snapshot().blocks_free, 0);
  complete(scheduler, step);
  step = scheduler.plan();
  EXPECT_THAT(step.preempted, ElementsAre(1));
  EXPECT_THAT(words(step), ElementsAre("d2@12+1!"));
  EXPECT_EQ(scheduler.snapshot().blocks_free, 1);
  complete(scheduler, step);
  EXPECT_THAT(words(scheduler.plan()), ElementsAre("d2@13+1!", "1@8+4!"));
}

TEST(PrefixReuse, ASaltKeepsRequestsApart) {
  Scheduler scheduler(reusing(), Policy::kDecodeFirst);
  submit(scheduler, make(1, 16, 1));
  complete(scheduler, scheduler.plan());
  Request other = alike(16, 16, 1);
  other.cache_salt = 1;
  submit(scheduler, other);
  EXPECT_THAT(words(scheduler.plan()), ElementsAre("2@0+16!"));
}

}  // namespace
}  // namespace lindos::scheduler
