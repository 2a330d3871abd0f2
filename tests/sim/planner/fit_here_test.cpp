// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/fit_here.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "data/catalogue.h"
#include "scenarios/balance.h"
#include "scenarios/error.h"
#include "scenarios/plan_pools.h"

namespace lindos::sim {
namespace {

namespace fs = std::filesystem;

Scenario loaded(const char* name) {
  const fs::path root(LINDOS_SOURCE_DIR);
  return load_scenario(root / "scenarios" / name, load_catalogue(root / "data" / "catalogue"));
}

// 405 GB of weights are far too many for 8 GB, so that this machine's model stands in.
constexpr HereOptions kTwoRanks{2, Bytes(8e9)};

TEST(FitHere, KeepsTensorRanksAndTheirProportions) {
  const Scenario fleet = loaded("hgx-h100-llama70b.toml");
  Plan plan = make_plan(fleet.model, fleet.cluster.pools.front().name, 1, {3, 3, 3, 3, 1, 1, 1, 1}, {}, Dtype::kBf16,
                        {}, kGpuGranule);
  const Scenario here = fit_here(fleet, plan, loaded("this-machine.toml"), kTwoRanks);
  check_plan(here.plan, here, "plan");
  ASSERT_EQ(here.plan.groups.size(), 1U);
  ASSERT_EQ(here.plan.groups[0].stages.size(), 1U);
  const auto& ranks = here.plan.groups[0].stages[0].ranks;
  ASSERT_EQ(ranks.size(), 2U);
  // Three quarters of 1,536 columns, in granules of 16.
  EXPECT_NEAR(static_cast<double>(ranks[0].share.ffn.size()), 0.75 * 1536, 16.0);
  EXPECT_EQ(here.model.name, "smollm2-135m");
}

TEST(FitHere, KeepsStagesAndTheirProportions) {
  const Scenario fleet = loaded("hgx-h100-llama70b.toml");
  Plan plan = make_plan(fleet.model, fleet.cluster.pools.front().name, 4, {}, {2, 2, 1, 1}, Dtype::kBf16, {},
                        kGpuGranule);
  const Scenario here = fit_here(fleet, plan, loaded("this-machine.toml"), kTwoRanks);
  check_plan(here.plan, here, "plan");
  ASSERT_EQ(here.plan.groups[0].stages.size(), 2U);
  EXPECT_GT(here.plan.groups[0].stages[0].layers.size(), here.plan.groups[0].stages[1].layers.size());
}

TEST(FitHere, AModelThatFitsStays) {
  const Scenario fleet = loaded("hgx-h100-llama70b.toml");
  const Scenario here = fit_here(fleet, fleet.plan, loaded("this-machine.toml"), {2, Bytes(1e12)});
  EXPECT_EQ(here.model, fleet.model);
}

TEST(FitHere, TrainingDoesNotRunHere) {
  const Scenario fleet = loaded("colossus1-training.toml");
  EXPECT_THROW(static_cast<void>(fit_here(fleet, fleet.plan, loaded("this-machine.toml"), kTwoRanks)), Error);
}

}  // namespace
}  // namespace lindos::sim
