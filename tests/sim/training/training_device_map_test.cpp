// SPDX-License-Identifier: Apache-2.0
// What is said per device adds up to what is said of the job: on Colossus 1, whose three kinds of GPU do not tile.
#include "sim/training/training_device_map.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "data/catalogue.h"
#include "sim/training/maxplus_training.h"

namespace lindos::sim {
namespace {

struct Predicted {
  Scenario scenario;
  TrainingRun run;
  TrainingDraws drawn;
  DeviceMap map;
};

Predicted predicted(Fidelity fidelity) {
  Predicted out;
  out.scenario =
      load_scenario(LINDOS_SOURCE_DIR "/scenarios/colossus1-training.toml", load_catalogue(default_catalogue_dir()));
  out.run = make_training_run(out.scenario, {});
  DrawOptions options;
  options.fidelity = fidelity;
  options.draws = 5;
  options.seed = 7;
  out.drawn = draw_training(out.run, out.scenario, options);
  out.map = training_device_map(out.scenario, out.run, out.drawn, options);
  return out;
}

std::vector<float> field(const DeviceMap& map, const std::string& quantity) {
  for (const DeviceField& f : map.fields) {
    if (f.quantity == quantity) return decode_field(f, map.devices());
  }
  return {};
}

// Calls visit(device, stage of the job, placed stage) for every device of the job; devices counted through the pools.
template <class Visit>
void visit_devices(const Predicted& p, const Visit& visit) {
  std::vector<std::int64_t> begin{0};
  for (const PoolShape& pool : p.map.pools) begin.push_back(begin.back() + pool.devices());
  std::size_t placed = 0;
  for (const GroupJob& group : p.run.job.groups) {
    for (const StageJob& stage : group.stages) {
      const PlacedStage& at = p.map.stages[placed++];
      for (std::int64_t r = 0; r < at.replicas; ++r) {
        const std::int64_t first = begin[static_cast<std::size_t>(at.pool)] + at.first + r * at.stride;
        for (std::int64_t d = first; d < first + at.devices; ++d) visit(static_cast<std::size_t>(d), stage, at);
      }
    }
  }
}

TEST(TrainingDeviceMap, UtilisationWeightedByPeakIsThatOfTheStep) {
  const Predicted p = predicted(Fidelity::kMaxplus);
  const std::vector<float> utilisation = field(p.map, "utilisation");
  double useful = 0.0;
  double peak = 0.0;
  visit_devices(p, [&](std::size_t d, const StageJob& stage, const PlacedStage&) {
    const double own = stage.peak.value() / static_cast<double>(stage.devices);
    useful += static_cast<double>(utilisation[d]) * own;
    peak += own;
  });
  EXPECT_NEAR(useful / peak, p.drawn.draws[static_cast<std::size_t>(p.map.shown)].steady.share(Cause::kUseful), 1e-6);
}

TEST(TrainingDeviceMap, EveryDeviceOfTheJobHasItsPlaceOnce) {
  const Predicted p = predicted(Fidelity::kMaxplus);
  ASSERT_EQ(p.map.devices(), 220000);
  std::vector<int> held(220000, 0);
  visit_devices(p, [&](std::size_t d, const StageJob&, const PlacedStage&) { ++held[d]; });
  EXPECT_EQ(*std::max_element(held.begin(), held.end()), 1);
  EXPECT_EQ(std::count(held.begin(), held.end(), 1), 149888 + 49920 + 19968);  // 128 × (1,171 + 390 + 156)
  // What the job does not take has no value in the step, but a limit of power.
  const std::vector<float> slowdown = field(p.map, "slowdown");
  const std::vector<float> limit = field(p.map, "power_limit_w");
  for (std::size_t d = 0; d < held.size(); ++d) {
    ASSERT_EQ(std::isnan(slowdown[d]), held[d] == 0) << d;
    ASSERT_FALSE(std::isnan(limit[d])) << d;
  }
}

// The drawn step's factors per stage are the slowest of its slices.
TEST(TrainingDeviceMap, SlowdownIsWhatTheStepWasDrawnWith) {
  const Predicted p = predicted(Fidelity::kMaxplus);
  const StepDraw draw = StragglerModel(p.run.job, p.run.faults).draw(7, static_cast<std::uint32_t>(p.map.shown));
  const std::vector<float> slowdown = field(p.map, "slowdown");
  const std::size_t stages = p.run.job.groups[0].stages.size();
  for (std::size_t r = 0; r < 100; ++r) {
    for (std::size_t s = 0; s < stages; ++s) {
      const std::size_t i = r * stages + s;
      EXPECT_NEAR(slowdown[i * 8], draw.slowdown[0][i] * draw.throttle[0][i], 1e-5F);
    }
  }
}

// Whom the step waits for is the busiest stage of the replica that ends last, so of its replica it waits least.
TEST(TrainingDeviceMap, TheGateIsTheBusiestStageOfItsReplica) {
  const Predicted p = predicted(Fidelity::kMaxplus);
  const std::vector<float> waiting = field(p.map, "waiting");
  const DrawnStep& step = p.map.steps[static_cast<std::size_t>(p.map.shown)];
  const PlacedStage& gate = p.map.stages[static_cast<std::size_t>(step.stage)];
  EXPECT_NE(gate.group, "gb200");  // the fastest kind
  std::int64_t begin = 0;
  for (int pool = 0; pool < gate.pool; ++pool) begin += p.map.pools[static_cast<std::size_t>(pool)].devices();
  const auto of = [&](const PlacedStage& stage) {
    return waiting[static_cast<std::size_t>(begin + stage.first + step.replica * stage.stride)];
  };
  for (const PlacedStage& stage : p.map.stages) {
    // The optimizer, which is no pass, differs a little between the stages.
    if (stage.group == gate.group) EXPECT_LE(of(gate), of(stage) + 1e-3F) << stage.stage;
  }
}

TEST(TrainingDeviceMap, TheShownDrawIsTheMedian) {
  const Predicted p = predicted(Fidelity::kMaxplus);
  ASSERT_EQ(p.map.steps.size(), 5U);
  const double shown = p.map.steps[static_cast<std::size_t>(p.map.shown)].step_s;
  EXPECT_EQ(
      std::count_if(p.map.steps.begin(), p.map.steps.end(), [&](const DrawnStep& s) { return s.step_s < shown; }), 2);
}

TEST(TrainingDeviceMap, AFormulaDrawsNoDevice) {
  const Predicted p = predicted(Fidelity::kClosed);
  EXPECT_FALSE(field(p.map, "utilisation").empty());
  for (const char* quantity : {"slowdown", "node_slowdown", "heat", "network", "waiting"}) {
    EXPECT_TRUE(field(p.map, quantity).empty()) << quantity;
  }
}

}  // namespace
}  // namespace lindos::sim
