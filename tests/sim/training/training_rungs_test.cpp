// SPDX-License-Identifier: Apache-2.0
// closed and maxplus against each other and against hand calculations; the ledger of a step closes.
#include <cmath>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "sim/training/closed_training.h"
#include "sim/training/maxplus_training.h"
#include "tests/sim/training/toy_job.h"

namespace lindos::sim {
namespace {

using toy::even_group;
using toy::job_of;

double capacity_of(const TrainingJob& job, Seconds step) {
  double sum = 0.0;
  for (const GroupJob& group : job.groups) {
    for (const StageJob& stage : group.stages)
      sum += (stage.peak * step).value() * static_cast<double>(group.replicas);
  }
  return sum;
}

void expect_closed(const TrainingJob& job, const StepOutcome& outcome) {
  EXPECT_NEAR(outcome.ledger.capacity_flop() / capacity_of(job, outcome.step), 1.0, 1e-9);
}

// Four stages, eight micro-batches of 3 s: 33 s, of which 24 s passes and 9 s bubble; useful is 0.8 of the
// passes' time.
TEST(TrainingStep, LedgerOfAnEvenPipeline) {
  const MaxplusTraining training(job_of({even_group(4, 8)}));
  const StepOutcome outcome = training.step({});
  EXPECT_NEAR(outcome.step.count(), 33.0, 1e-9);
  EXPECT_NEAR(outcome.ledger.share(Cause::kUseful), 0.8 * 24.0 / 33.0, 1e-12);
  EXPECT_NEAR(outcome.ledger.share(Cause::kExposedTensor), 0.1 * 24.0 / 33.0, 1e-12);
  EXPECT_NEAR(outcome.ledger.share(Cause::kPipelineBubble), 9.0 / 33.0, 1e-12);
  expect_closed(training.job(), outcome);
}

// A group at half the speed beside one at full speed with equal work: the fast one waits 33 of 66 s. Its
// peak is double, so its waiting weighs 2/3 · 33/66.
TEST(TrainingStep, TheFasterKindWaitsForTheSlower) {
  const MaxplusTraining training(job_of({even_group(4, 8, 1, 0.0, 1, 1.0), even_group(4, 8, 1, 0.0, 1, 0.5)}));
  const StepOutcome outcome = training.step({});
  EXPECT_NEAR(outcome.step.count(), 66.0, 1e-9);
  EXPECT_EQ(outcome.gate.group, 1U);
  EXPECT_NEAR(outcome.ledger.share(Cause::kStragglerMix), 2.0 / 3.0 * 0.5, 1e-9);
  expect_closed(training.job(), outcome);
}

// One of two replicas has its second stage at 1.5 times the compute time: passes of 0.9 · 1.5 + 0.1 = 1.45 s
// and 2.9 s, 4.35 s together. It starts after 1 s of the first stage's forward and ends 2 s before the first
// stage's last backward; its own eight micro-batches take 34.8 s. It waits 6 s for its first gradient, less two
// forwards of 1.45 s (3.1 s), and twice 3 − 2.9 s at the end: 3 + 34.8 + 3.1 + 0.2 = 41.1 s.
TEST(TrainingStep, OneSlowStageDelaysAllReplicas) {
  const MaxplusTraining training(job_of({even_group(4, 8, 1, 0.0, 2)}));
  StepDraw draw;
  draw.slowdown = {std::vector<float>(8, 1.0F)};
  draw.slowdown[0][4 + 1] = 1.5F;
  const StepOutcome outcome = training.step(draw);
  EXPECT_NEAR(outcome.step.count(), 41.1, 1e-5);
  EXPECT_EQ(outcome.gate.replica, 1);
  EXPECT_EQ(outcome.gate.stage, 1U);
  // Both replicas: capacity 8 stages × 41.1; bubble as at nominal speed but what the slow stage fills itself.
  EXPECT_NEAR(outcome.ledger.share(Cause::kUseful), 0.8 * 24.0 / 41.1, 1e-6);
  EXPECT_GT(outcome.ledger.share(Cause::kStragglerJitter), 0.15);
  expect_closed(training.job(), outcome);
  // The formula knows one factor for all stages; a slow stage as part of the job is exact.
  GroupJob slow = even_group(4, 8);
  for (TimeSplit* split : {&slow.stages[1].chunks[0].forward, &slow.stages[1].chunks[0].backward})
    split->add(Cause::kKernelInefficiency, split->compute() * 0.5);
  EXPECT_NEAR(closed_step(job_of({slow})).step.count(), 41.1, 1e-9);
}

TEST(TrainingStep, ThrottledStageBooksThermal) {
  const MaxplusTraining training(job_of({even_group(1, 1)}));
  StepDraw draw;
  draw.throttle = {{1.25F}};
  const StepOutcome outcome = training.step(draw);
  // 3 s of which 2.7 s compute: 0.675 s more.
  EXPECT_NEAR(outcome.step.count(), 3.675, 1e-6);
  EXPECT_NEAR(outcome.ledger.share(Cause::kThermal), 0.675 / 3.675, 1e-6);
  expect_closed(training.job(), outcome);
}

// 10 s of exchange behind a window of 4 s, then an optimizer of 1 s: 33 + 6 + 1.
TEST(TrainingStep, ExposedExchangeAndOptimizerFollowThePipeline) {
  TrainingJob job = job_of({even_group(4, 8)});
  for (StageJob& stage : job.groups[0].stages) {
    stage.exchange.reduce_time = Seconds(7.0);
    stage.exchange.gather_time = Seconds(3.0);
    stage.exchange.hidden_window = Seconds(4.0);
    stage.optimizer.add(Cause::kMemoryBound, Seconds(1.0));
  }
  const MaxplusTraining training(job);
  const StepOutcome outcome = training.step({});
  EXPECT_NEAR(outcome.step.count(), 40.0, 1e-9);
  EXPECT_NEAR(outcome.ledger.share(Cause::kExposedData), 6.0 / 40.0, 1e-9);
  EXPECT_NEAR(outcome.ledger.share(Cause::kMemoryBound), 1.0 / 40.0, 1e-9);
  EXPECT_NEAR(closed_step(job).step.count(), 40.0, 1e-9);
  expect_closed(job, outcome);
}

// Even stages: closed is exact without messages, and within 1 % with messages up to a tenth of a pass.
RC_GTEST_PROP(TrainingRungs, ClosedAgreesWithMaxplusOnEvenStages, ()) {
  const int stages = *rc::gen::inRange(1, 9);
  const int chunks = *rc::gen::inRange(1, 4);
  const auto micro_batches = static_cast<std::int64_t>(stages) * *rc::gen::inRange(1, 6);
  const double hop = 0.01 * *rc::gen::inRange(0, 11) / chunks;
  const TrainingJob job = job_of({even_group(stages, micro_batches, chunks, hop)});
  const double exact = MaxplusTraining(job).step({}).step.count();
  const StepOutcome closed = closed_step(job);
  RC_ASSERT(std::abs(closed.step.count() / exact - 1.0) <= 0.01);
  RC_ASSERT(std::abs(closed.ledger.capacity_flop() / capacity_of(job, closed.step) - 1.0) <= 1e-9);
}

RC_GTEST_PROP(TrainingRungs, LedgerClosesUnderAnyDraw, ()) {
  const int stages = *rc::gen::inRange(1, 6);
  const int replicas = *rc::gen::inRange(1, 5);
  const TrainingJob job =
      job_of({even_group(stages, *rc::gen::inRange(1, 9), 1, 0.02, replicas, 1.0),
              even_group(stages, *rc::gen::inRange(1, 9), 1, 0.02, replicas, 2.5)});
  StepDraw draw;
  for (std::size_t g = 0; g < 2; ++g) {
    std::vector<float> slow;
    std::vector<float> hot;
    for (int i = 0; i < stages * replicas; ++i) {
      slow.push_back(0.95F + 0.01F * static_cast<float>(*rc::gen::inRange(0, 60)));
      hot.push_back(1.0F + 0.01F * static_cast<float>(*rc::gen::inRange(0, 20)));
    }
    draw.slowdown.push_back(slow);
    draw.throttle.push_back(hot);
  }
  const MaxplusTraining training(job);
  const StepOutcome outcome = training.step(draw);
  RC_ASSERT(std::abs(outcome.ledger.capacity_flop() / capacity_of(job, outcome.step) - 1.0) <= 1e-9);
  // Useful work does not depend on how long it took.
  const double nominal = training.step({}).ledger.amount(Cause::kUseful);
  RC_ASSERT(std::abs(outcome.ledger.amount(Cause::kUseful) / nominal - 1.0) <= 1e-9);
}

}  // namespace
}  // namespace lindos::sim
