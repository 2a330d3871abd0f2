// SPDX-License-Identifier: Apache-2.0
// The spans of a step are the step: every lane is filled from its start to its end, and what is in it adds up to what
// the recursion and the ledger say.
#include "sim/training/training_timeline.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "data/catalogue.h"
#include "sim/training/replica_pipeline.h"
#include "tests/sim/training/toy_job.h"

namespace lindos::sim {
namespace {

TEST(ReplicaPipeline, PassesEndWhereTheRecursionDoes) {
  for (const int chunks : {1, 2}) {
    const GroupJob group = toy::even_group(3, 5, chunks, 0.25);
    const ReplicaPipeline pipeline(group);
    const std::vector<float> factors{1.0F, 1.5F, 0.9F};
    std::vector<double> ends(3);
    pipeline.run(factors.data(), ends.data());
    std::vector<double> last(3, 0.0);
    std::map<std::pair<std::size_t, bool>, int> count;
    for (const TimedPass& p : pipeline.passes(factors.data())) {
      EXPECT_GE(p.start, last[p.stage]);
      EXPECT_GE(p.start, p.arrived);
      EXPECT_TRUE(p.start == last[p.stage] || p.start == p.arrived);  // as soon as it can
      // The even group's pass: 0.9 of its time is computing and stretched, 0.1 exposed communication.
      const double unit = (p.pass.backward ? 2.0 : 1.0) / chunks;
      EXPECT_NEAR(p.end - p.start, unit * (0.9 * static_cast<double>(factors[p.stage]) + 0.1), 1e-9);
      last[p.stage] = p.end;
      ++count[{p.stage, p.pass.backward}];
    }
    EXPECT_EQ(last, ends);
    EXPECT_EQ(count.size(), 6u);
    for (const auto& [key, n] : count) EXPECT_EQ(n, 5 * chunks);
  }
}

class Colossus : public ::testing::TestWithParam<Fidelity> {
 protected:
  Colossus() {
    scenario_ =
        load_scenario(LINDOS_SOURCE_DIR "/scenarios/colossus1-training.toml", load_catalogue(default_catalogue_dir()));
    run_ = make_training_run(scenario_, {});
    options_.fidelity = GetParam();
    options_.draws = 5;
    options_.seed = 7;
    drawn_ = draw_training(run_, scenario_, options_);
    timeline_ = training_timeline(scenario_, run_, drawn_, options_);
  }
  Scenario scenario_;
  TrainingRun run_;
  DrawOptions options_;
  TrainingDraws drawn_;
  RunTimeline timeline_;
};

TEST_P(Colossus, EveryLaneIsTheWholeStep) {
  const TrainingDraw& draw = drawn_.draws[static_cast<std::size_t>(median_draw(drawn_.draws))];
  const double step = draw.step.count();
  std::vector<double> at(timeline_.lanes.size(), 0.0);
  std::vector<int> forwards(timeline_.lanes.size(), 0);
  for (const TimelineSpan& span : timeline_.spans) {
    EXPECT_NEAR(span.start.count(), at[span.lane], 1e-9 * step);
    at[span.lane] = span.end().count();
    forwards[span.lane] += span.kind == SpanKind::kForward ? 1 : 0;
  }
  for (std::size_t lane = 0; lane < at.size(); ++lane) {
    EXPECT_NEAR(at[lane], step, 1e-9 * step) << timeline_.lanes[lane].group << " " << timeline_.lanes[lane].name;
    EXPECT_GT(forwards[lane], 0);
  }
  EXPECT_EQ(std::any_of(timeline_.spans.begin(), timeline_.spans.end(),
                        [](const TimelineSpan& s) { return s.kind == SpanKind::kLinkSharing; }),
            drawn_.contention > 0.0);
  // First the replica that the step waits for, as the map of devices names it.
  const GroupJob& gate = run_.job.groups[draw.gate.group];
  EXPECT_EQ(timeline_.lanes.front().group.find(gate.name + " replica " + std::to_string(draw.gate.replica) + ","), 0u);
  EXPECT_EQ(timeline_.cut, "4 of 1,717 replicas");  // 1,171 of H100, 390 of H200, 156 of GB200
}

TEST_P(Colossus, TheGateWaitsForNoReplica) {
  const TrainingDraw& draw = drawn_.draws[static_cast<std::size_t>(median_draw(drawn_.draws))];
  const std::size_t stages = run_.job.groups[draw.gate.group].stages.size();
  double gate = 0.0;
  double others = 0.0;
  for (const TimelineSpan& span : timeline_.spans) {
    if (span.name != "waits for replicas") continue;
    (span.lane < stages ? gate : others) += span.duration.count();
  }
  EXPECT_LT(gate, others);
}

INSTANTIATE_TEST_SUITE_P(TrainingTimeline, Colossus, ::testing::Values(Fidelity::kMaxplus, Fidelity::kSimgrid),
                         [](const auto& fidelity) { return std::string(name_of(fidelity.param)); });

}  // namespace
}  // namespace lindos::sim
