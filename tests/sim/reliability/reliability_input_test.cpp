// SPDX-License-Identifier: Apache-2.0
#include "sim/reliability/reliability_input.h"

#include <cmath>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "data/catalogue.h"
#include "scenarios/error.h"
#include "tests/sim/reliability/reliability_fixture.h"

namespace lindos::sim {
namespace {

namespace fs = std::filesystem;

Scenario colossus1() {
  const fs::path root(LINDOS_SOURCE_DIR);
  return load_scenario(root / "scenarios" / "colossus1-training.toml",
                       load_catalogue(root / "data" / "catalogue"));
}

// 1,171, 390 and 156 replicas of 128 GPUs in nodes of 8, 8 and 4; all other nodes are spares.
TEST(ReliabilityInput, OfColossus1) {
  const ReliabilityInput input = make_reliability_input(colossus1(), Seconds{10});
  ASSERT_EQ(input.process.pools.size(), 3U);
  const std::int64_t expected[3][2] = {{18'736, 14}, {6'240, 10}, {4'992, 8}};
  for (std::size_t p = 0; p < 3; ++p) {
    EXPECT_EQ(input.process.pools[p].job, expected[p][0]) << input.process.pools[p].name;
    EXPECT_EQ(input.process.pools[p].spares, expected[p][1]) << input.process.pools[p].name;
  }
  ASSERT_EQ(input.groups.size(), 3U);
  EXPECT_EQ(input.groups[2].replicas, 156);
  EXPECT_EQ(input.groups[2].devices, (std::vector<std::int64_t>{0, 0, 128}));
  // 5.68 TB at 2 TB/s = 2.84 s, beside 170 s per save and 114 s per load.
  EXPECT_NEAR(input.checkpoint.commit_delay.count(), 172.84, 0.005);
  EXPECT_EQ(input.checkpoint.blocking, Seconds{0.5});
  EXPECT_NEAR(input.outage().count(), 60 + 300 + 116.84, 0.005);
  EXPECT_EQ(input.without_spare, WithoutSpare::kShrink);
}

// The classes of Llama 3 alone give 13.8 min on 219,776 GPUs; racks, leaves and halls take off less
// than 1 %.
TEST(ReliabilityInput, Colossus1IsInterruptedEvery14Minutes) {
  Scenario scenario = colossus1();
  const auto minutes = [&] {
    const ReliabilityInput input = make_reliability_input(scenario, Seconds{10});
    return mean_time_between_interruptions(input.process).count() / 60.0;
  };
  const double all = minutes();
  std::erase_if(scenario.cluster.faults.classes,
                [](const FaultClass& f) { return f.scope != FaultScope::kDevice; });
  const double published = minutes();
  EXPECT_NEAR(published, 13.83, 0.01);  // 828.9 s × 220,000 / 219,776
  EXPECT_LT(all, published);
  EXPECT_GT(all, 0.99 * published);
}

TEST(ReliabilityInput, TheBestIntervalIsAWholeNumberOfStepsAndLongerThanAWrite) {
  ReliabilityInput input = testing::software_faults_only(27'500, Seconds{30}, Seconds{300});
  input.step = Seconds{7};
  EXPECT_EQ(interval_in_steps(input), Seconds{203});  // the optimum, 204 s, is 29.2 steps
  input.checkpoint.blocking = Seconds{0.5};
  input.checkpoint.commit_delay = Seconds{173};  // the optimum, 28 s, would have six writes at once
  EXPECT_EQ(interval_in_steps(input), Seconds{175});  // 25 steps; 24 are 168 s
}

TEST(ReliabilityInput, AGivenIntervalIsRoundedToSteps) {
  ReliabilityInput input = testing::software_faults_only(27'500, Seconds{30}, Seconds{300});
  input.step = Seconds{7};
  input.interval = Seconds{600};
  EXPECT_EQ(interval_in_steps(input), Seconds{602});
  input.interval = Seconds{1};
  EXPECT_EQ(interval_in_steps(input), Seconds{7});
}

TEST(ReliabilityInput, FreeSavesAreTakenEachStepAndSafeJobsNeverSave) {
  ReliabilityInput input = testing::software_faults_only(27'500, Seconds{0}, Seconds{300});
  EXPECT_EQ(interval_in_steps(input), input.step);
  input.process.sources.clear();
  EXPECT_EQ(interval_in_steps(input), input.horizon);
}

TEST(ReliabilityInput, AnIntervalShorterThanTheWriteIsRefusedWithTheShortest) {
  Scenario scenario = colossus1();
  scenario.workload.training.checkpoint.interval = Seconds{60};
  try {
    static_cast<void>(make_reliability_input(scenario, Seconds{10}));
    FAIL() << "accepted";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kInput);
    EXPECT_EQ(
        std::string(e.what()),
        "workload.checkpoint.interval: a save is written for 173 s, so the next cannot begin 1 min "
        "after it; the shortest interval is 173 s");
  }
}

}  // namespace
}  // namespace lindos::sim
