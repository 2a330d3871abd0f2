// SPDX-License-Identifier: Apache-2.0
// What-if analysis of jobs small enough to work out by hand.
#include "sim/stragglers/what_if.h"

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "scenarios/error.h"
#include "sim/training/pipeline_schedule.h"
#include "tests/sim/stragglers/recorded_job.h"

namespace lindos::sim {
namespace {

using recorded::Job;
using recorded::parse;

constexpr double kExact = 1e-12;

struct TimedPass {
  int stage = 0;
  Pass pass;
  double start = 0.0;
  double duration = 0.0;
  [[nodiscard]] double end() const { return start + duration; }
  [[nodiscard]] int global_chunk(int stages) const { return pass.chunk * stages + stage; }
};

// A pipeline whose transfers take no time: sent when the pass ends, received at once. Every pass of
// an interleaved pipeline has a send and a receive record, also where nothing moves; otherwise only
// real ones have.
std::string pipeline_csv(int stages, bool interleaved, const std::vector<TimedPass>& passes,
                         double optimizer) {
  Job job(stages);
  const int chunks =
      1 + std::max_element(passes.begin(), passes.end(), [](const auto& a, const auto& b) {
            return a.pass.chunk < b.pass.chunk;
          })->pass.chunk;
  double end = 0.0;
  for (int stage = 0; stage < stages; ++stage) {
    double posted[2] = {0.0, 0.0};  // last receive, forward and backward
    for (const TimedPass& p : passes) {
      if (p.stage != stage) continue;
      const bool back = p.pass.backward;
      const int chunk = p.global_chunk(stages);
      job.pass(0, stage, back, p.pass.chunk, static_cast<int>(p.pass.micro_batch), p.start,
               p.duration);
      const auto producer = std::find_if(passes.begin(), passes.end(), [&](const TimedPass& q) {
        return q.pass.backward == back && q.pass.micro_batch == p.pass.micro_batch &&
               q.global_chunk(stages) == chunk + (back ? 1 : -1);
      });
      const bool received = producer != passes.end();
      const bool sent = back ? chunk > 0 : chunk + 1 < chunks * stages;
      const std::string direction = back ? "backward" : "forward";
      if (received) posted[back] = producer->end();
      if (received || interleaved) {
        job.op(0, stage, direction + "-recv", posted[back], 0.0);
      }
      if (sent || interleaved) job.op(0, stage, direction + "-send", p.end(), 0.0);
      end = std::max(end, p.end());
    }
    job.op(0, stage, "optimizer", end, optimizer);
  }
  return job.csv();
}

// Two stages, two micro-batches, 1F1B; passes of stage 1 take twice as long.
//   stage 0   F0 0–1  F1 1–2          B0 7–9           B1 13–15  optimizer –15.5
//   stage 1           F0 1–3  B0 3–7  F1 7–9  B1 9–13
std::vector<TimedPass> lopsided() {
  return {{0, {false, 0, 0}, 0, 1}, {0, {false, 0, 1}, 1, 1}, {0, {true, 0, 0}, 7, 2},
          {0, {true, 0, 1}, 13, 2}, {1, {false, 0, 0}, 1, 2}, {1, {true, 0, 0}, 3, 4},
          {1, {false, 0, 1}, 7, 2}, {1, {true, 0, 1}, 9, 4}};
}

TEST(WhatIf, LopsidedPipelineByHand) {
  const WhatIf r = analyse_what_if(parse(pipeline_csv(2, false, lopsided(), 0.5)));
  ASSERT_EQ(r.no_delay.size(), 1U);
  EXPECT_NEAR(r.mean_recorded.count(), 15.5, kExact);
  EXPECT_NEAR(r.mean_no_delay.count(), 15.5, kExact);
  // Ideal passes take 1.5 and 3 s: F 0–1.5, then stage 1 without a gap 1.5–10.5, B1 of stage 0
  // –13.5.
  EXPECT_NEAR(r.mean_ideal.count(), 14.0, kExact);
  EXPECT_NEAR(r.slowdown, 15.5 / 14.0, kExact);
  EXPECT_NEAR(r.launch_slowdown, 1.0, kExact);
  // Stage 0 as recorded, stage 1 ideal: 1 + 9 + 2 + 0.5.
  EXPECT_NEAR(r.by_stage[0].effect.only.count(), 12.5, kExact);
  EXPECT_NEAR(r.by_stage[0].effect.slowdown, 12.5 / 14.0, kExact);
  // Stage 1 as recorded, stage 0 ideal: 1.5 + 12 + 3 + 0.5.
  EXPECT_NEAR(r.by_stage[1].effect.only.count(), 17.0, kExact);
  EXPECT_NEAR(*r.by_stage[0].effect.recovery, (15.5 - 17.0) / 1.5, kExact);
  EXPECT_NEAR(*r.last_stage_effect.recovery, (15.5 - 12.5) / 1.5, kExact);
  // Only forward as recorded: 1 + (2+3+2+3) + 3 + 0.5; only backward: 1.5 + (1.5+4+1.5+4) + 2 +
  // 0.5.
  ASSERT_EQ(r.by_op_type[0].name, "forward-compute");
  EXPECT_NEAR(r.by_op_type[0].effect.only.count(), 14.5, kExact);
  ASSERT_EQ(r.by_op_type[1].name, "backward-compute");
  EXPECT_NEAR(r.by_op_type[1].effect.only.count(), 15.0, kExact);
  // One data rank, so its effect is that of all ops, and the worst rank is that of the slow stage.
  EXPECT_NEAR(r.by_data_rank[0].effect.slowdown, r.slowdown, kExact);
  EXPECT_EQ(r.by_rank.front().stage, 1);
  EXPECT_EQ(r.worst_ranks, std::vector<std::int64_t>{1});
  EXPECT_NEAR(*r.worst_ranks_effect.recovery, *r.last_stage_effect.recovery, kExact);
}

// Starts that come later than they must, in the same order: launch delays, which the replay
// removes.
TEST(WhatIf, LaunchDelaysAreRemoved) {
  std::vector<TimedPass> delayed = lopsided();
  for (TimedPass& p : delayed) p.start *= 1.25;
  const WhatIf r = analyse_what_if(parse(pipeline_csv(2, false, delayed, 0.5)));
  EXPECT_NEAR(r.mean_recorded.count(), 1.25 * 13.0 + 2.0 + 0.5, kExact);
  EXPECT_NEAR(r.mean_no_delay.count(), 15.5, kExact);
  EXPECT_NEAR(r.launch_slowdown, 18.75 / 15.5, kExact);
}

// One pass of each kind on two data ranks; the forward pass of rank 1 takes 3 s instead of 1 s.
//   rank 0  gather 0–1  F 1–2  B 2–4  reduce 4–6.5 (2 s of it waiting)  clip –6.75  optimizer –7
//   rank 1  gather 0–1  F 1–4  B 4–6  reduce 6–6.5                      clip –6.75  optimizer –7
Job two_data_ranks() {
  Job job(1);
  for (int rank = 0; rank < 2; ++rank) {
    const double late = 2.0 * rank;
    job.op(rank, 0, "params-all-gather", 0.0, 1.0, 0);
    job.pass(rank, 0, false, 0, 0, 1.0, 1.0 + late);
    job.pass(rank, 0, true, 0, 0, 2.0 + late, 2.0);
    job.op(rank, 0, "gc", 4.0 + late, 0.0);
    job.op(rank, 0, "grads-reduce-scatter", 4.0 + late, 2.5 - late, 0);
    job.op(rank, 0, "optimizer-clip-main-grad", 6.5, 0.25);
    job.op(rank, 0, "optimizer", 6.75, 0.25);
  }
  return job;
}

TEST(WhatIf, DataRanksWaitForTheSlowestByHand) {
  const WhatIf r = analyse_what_if(parse(two_data_ranks().csv()));
  EXPECT_NEAR(r.mean_no_delay.count(), 7.0, kExact);
  // Mean forward 2 s: 1 + 2 + 2 + 0.5 + 0.25 + 0.25.
  EXPECT_NEAR(r.mean_ideal.count(), 6.0, kExact);
  EXPECT_NEAR(r.by_data_rank[0].effect.slowdown, 1.0, kExact);
  EXPECT_NEAR(r.by_data_rank[1].effect.slowdown, 7.0 / 6.0, kExact);
  EXPECT_NEAR(*r.by_data_rank[0].effect.recovery, 0.0, kExact);
  EXPECT_EQ(r.worst_ranks, std::vector<std::int64_t>{1});
  EXPECT_NEAR(*r.worst_ranks_effect.recovery, 1.0, kExact);
  // The reduce-scatter's waiting is not its transfer: as recorded it adds nothing to the ideal
  // step.
  const auto reduce =
      std::find_if(r.by_op_type.begin(), r.by_op_type.end(),
                   [](const NamedEffect& e) { return e.name == "grads-reduce-scatter"; });
  ASSERT_NE(reduce, r.by_op_type.end());
  EXPECT_NEAR(reduce->effect.slowdown, 1.0, kExact);
}

TEST(WhatIf, EqualStepsOfEqualRanksHaveNoStragglers) {
  Job job(1);
  for (const std::int64_t step : {7, 9}) {
    job.step(step);
    for (int rank = 0; rank < 3; ++rank) {
      job.pass(rank, 0, false, 0, 0, 0.0, 1.0);
      job.pass(rank, 0, true, 0, 0, 1.0, 2.0);
      job.op(rank, 0, "optimizer", 3.0, 0.5);
    }
  }
  const WhatIf r = analyse_what_if(parse(job.csv()));
  EXPECT_EQ(r.ideal.size(), 2U);
  EXPECT_NEAR(r.slowdown, 1.0, kExact);
  for (const auto& e : r.by_data_rank) {
    EXPECT_NEAR(e.effect.slowdown, 1.0, kExact);
    EXPECT_FALSE(e.effect.recovery) << "a share of nothing";
  }
}

TEST(WhatIf, ProgressEndsAtOneAndCancellingStops) {
  const StragglerTrace trace = parse(two_data_ranks().csv());
  std::vector<double> seen;
  (void)analyse_what_if(trace, {[&](double done) { seen.push_back(done); }, {}});
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_EQ(seen.back(), 1.0);
  try {
    (void)analyse_what_if(trace, {{}, [] { return true; }});
    FAIL() << "not cancelled";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kCancelled);
  }
}

// Two stages of two chunks, two micro-batches (g = chunk of the model; forward 1 s, backward 2 s):
//   stage 0  g0m0 0–1  g0m1 1–2  g2m0 2–3  g2m1 3–4 | g2m0 6–8  g2m1 9–11  g0m0 11–13  g0m1 13–15,
//   optimizer –16 stage 1  g1m0 1–2  g1m1 2–3  g3m0 3–4 | g3m0 4–6 | g3m1 6–7 | g3m1 7–9  g1m0 9–11
//   g1m1 11–13
std::vector<TimedPass> interleaved() {
  return {{0, {false, 0, 0}, 0, 1}, {0, {false, 0, 1}, 1, 1}, {0, {false, 1, 0}, 2, 1},
          {0, {false, 1, 1}, 3, 1}, {0, {true, 1, 0}, 6, 2},  {0, {true, 1, 1}, 9, 2},
          {0, {true, 0, 0}, 11, 2}, {0, {true, 0, 1}, 13, 2}, {1, {false, 0, 0}, 1, 1},
          {1, {false, 0, 1}, 2, 1}, {1, {false, 1, 0}, 3, 1}, {1, {true, 1, 0}, 4, 2},
          {1, {false, 1, 1}, 6, 1}, {1, {true, 1, 1}, 7, 2},  {1, {true, 0, 0}, 9, 2},
          {1, {true, 0, 1}, 11, 2}};
}

TEST(WhatIf, InterleavedPipelineByHand) {
  const StragglerTrace trace = parse(pipeline_csv(2, true, interleaved(), 1.0));
  EXPECT_EQ(trace.virtual_stages, 2);
  EXPECT_EQ(trace.micro_batches, 2);
  EXPECT_NEAR(analyse_what_if(trace).mean_no_delay.count(), 16.0, kExact);
  std::vector<TimedPass> delayed = interleaved();
  for (TimedPass& p : delayed) p.start *= 1.25;
  EXPECT_NEAR(analyse_what_if(parse(pipeline_csv(2, true, delayed, 1.0))).mean_no_delay.count(),
              16.0, kExact);
}

// The profiler may leave out the first receive of the first chunk, where nothing moves.
TEST(WhatIf, AMissingFirstReceiveOfTheFirstChunkChangesNothing) {
  std::string csv = pipeline_csv(2, true, interleaved(), 1.0);
  for (int sequence = 0; sequence < 4; ++sequence) {
    const std::string row = "0,0,0,1,forward-recv,";
    const std::size_t at = csv.find(row);
    ASSERT_NE(at, std::string::npos);
    const std::size_t end = csv.find('\n', at);
    const std::string old = csv.substr(at, end - at);
    csv.erase(at, end + 1 - at);
    if (sequence == 0) continue;
    const std::string number = "," + std::to_string(sequence) + ",-1,-1,-1";
    const std::size_t found = old.rfind(number);
    ASSERT_NE(found, std::string::npos) << old;
    csv += old.substr(0, found) + "," + std::to_string(sequence - 1) + ",-1,-1,-1\n";
  }
  EXPECT_NEAR(analyse_what_if(parse(csv)).mean_no_delay.count(), 16.0, kExact);
}

// One stage, two chunks, one micro-batch: F 0–1, 1–2, backward of chunk 1 2–4, of chunk 0 4–6; a
// reduce-scatter takes 3 s, the others 0.5, 0.25, 0.25 and 1 s.
double end_of_two_chunks(bool overlapped) {
  Job job(1);
  job.pass(0, 0, false, 0, 0, 0, 1);
  job.pass(0, 0, false, 1, 0, 1, 1);
  job.pass(0, 0, true, 1, 0, 2, 2);
  job.pass(0, 0, true, 0, 0, 4, 2);
  job.op(0, 0, "gc", 6, 0);
  job.op(0, 0, "grads-reduce-scatter", overlapped ? 4.0 : 6.5, 3, 1);
  job.op(0, 0, "grads-reduce-scatter", overlapped ? 7.0 : 9.5, 3, 0);
  job.op(0, 0, "layernorm-grads-all-reduce", overlapped ? 10.0 : 6.0, 0.5);
  if (overlapped) job.op(0, 0, "separate-grads-all-reduce", 10.5, 0.25);
  job.op(0, 0, "optimizer-clip-main-grad", 12.5, 0.25);
  job.op(0, 0, "optimizer", 12.75, 1);
  return analyse_what_if(parse(job.csv())).mean_no_delay.count();
}

TEST(WhatIf, ReduceScatterOverlapsTheBackwardPassOnlyWithASeparateAllReduce) {
  // Overlapped: chunk 1 4–7, chunk 0 7–10, then 0.5 + 0.25 + 0.25 + 1.
  EXPECT_NEAR(end_of_two_chunks(true), 12.0, kExact);
  // Otherwise after the last pass: 6 + 0.5 + 3 + 3 + 0.25 + 1.
  EXPECT_NEAR(end_of_two_chunks(false), 13.75, kExact);
}

// The last gather of a chunk gates its first forward pass; gathers of other chunks do not.
TEST(WhatIf, ForwardOfAChunkWaitsForItsOwnGather) {
  Job job(1);
  job.op(0, 0, "params-all-gather", 0, 1, 0);
  job.op(0, 0, "params-all-gather", 1, 4, 1);
  job.pass(0, 0, false, 0, 0, 1, 1);
  job.pass(0, 0, false, 1, 0, 5, 1);
  job.pass(0, 0, true, 1, 0, 6, 1);
  job.pass(0, 0, true, 0, 0, 7, 1);
  job.op(0, 0, "optimizer", 8, 1);
  const WhatIf r = analyse_what_if(parse(job.csv()));
  EXPECT_NEAR(r.mean_no_delay.count(), 9.0, kExact);
  // Median gather (1 + 4) / 2: chunk 1 starts at 5 as before; without any wait it would be 6.
  EXPECT_NEAR(r.mean_ideal.count(), 9.0, kExact);
}

// A record that ends long before its peer began is a clock error: its transfer counts as 0.
TEST(WhatIf, ImpossibleTransfersCountAsZero) {
  std::string csv = pipeline_csv(2, false, lopsided(), 0.5);
  const std::string receive = "0,1,1,1,forward-recv,2,0,";
  const std::size_t at = csv.find(receive);
  ASSERT_NE(at, std::string::npos);
  EXPECT_NEAR(
      analyse_what_if(parse(csv.replace(at, receive.size(), "0,1,1,1,forward-recv,1,0.5,")))
          .mean_no_delay.count(),
      15.5, 1e-5);
}

// Times of the passes of a pipeline found by repeated relaxation: another way to the same fixed
// point.
std::vector<TimedPass> relaxed(int stages, int chunks, int micro_batches,
                               const std::vector<double>& durations) {
  std::vector<TimedPass> passes;
  for (int stage = 0; stage < stages; ++stage) {
    for (const Pass& pass : stage_schedule(stages, chunks, micro_batches, stage)) {
      passes.push_back({stage, pass, 0.0, durations[passes.size() % durations.size()]});
    }
  }
  for (bool moved = true; moved;) {
    moved = false;
    for (std::size_t i = 0; i < passes.size(); ++i) {
      TimedPass& p = passes[i];
      double start = i > 0 && passes[i - 1].stage == p.stage ? passes[i - 1].end() : 0.0;
      for (const TimedPass& q : passes) {
        const int step = p.pass.backward ? 1 : -1;
        if (q.pass.backward == p.pass.backward && q.pass.micro_batch == p.pass.micro_batch &&
            q.global_chunk(stages) == p.global_chunk(stages) + step) {
          start = std::max(start, q.end());
        }
      }
      moved = moved || start > p.start;
      p.start = std::max(start, p.start);
    }
  }
  return passes;
}

RC_GTEST_PROP(WhatIf, ReplaysAnyPipeline, ()) {
  const int stages = *rc::gen::inRange(1, 5);
  const int chunks = stages == 1 ? 1 : *rc::gen::inRange(1, 4);
  const int micro_batches =
      chunks == 1 ? *rc::gen::inRange(1, 9) : stages * *rc::gen::inRange(1, 4);
  const auto numbers = *rc::gen::container<std::vector<int>>(37, rc::gen::inRange(1, 1000));
  std::vector<double> durations;
  for (const int n : numbers) durations.push_back(n * 1e-3);
  std::vector<TimedPass> passes = relaxed(stages, chunks, micro_batches, durations);
  double end = 0.0;
  for (const TimedPass& p : passes) end = std::max(end, p.end());
  // Recorded later than need be, as launch delays make it; the replay must find the earliest times
  // again.
  for (TimedPass& p : passes) p.start *= 1.5;
  const WhatIf r = analyse_what_if(parse(pipeline_csv(stages, chunks > 1, passes, 0.25)));
  RC_ASSERT(std::abs(r.mean_no_delay.count() - (end + 0.25)) < 1e-9);
}

}  // namespace
}  // namespace lindos::sim
