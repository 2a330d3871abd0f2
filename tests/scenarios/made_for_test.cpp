// SPDX-License-Identifier: Apache-2.0
#include "scenarios/made_for.h"

#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "data/catalogue.h"
#include "scenarios/error.h"
#include "scenarios/plan_json.h"

namespace lindos {
namespace {

namespace fs = std::filesystem;

Scenario loaded() {
  const fs::path root(LINDOS_SOURCE_DIR);
  return load_scenario(root / "scenarios" / "hgx-h100-llama70b.toml", load_catalogue(root / "data" / "catalogue"));
}

TEST(MadeFor, IsNoPartOfThePlan) {
  const Scenario scenario = loaded();
  const std::string file = to_json(scenario.plan, scenario);
  EXPECT_EQ(plan_from_json(file, "plan.json"), scenario.plan);
  EXPECT_NE(file, to_json(scenario.plan));
}

TEST(MadeFor, AnotherPlanOrNameIsTheSameQuestion) {
  const Scenario scenario = loaded();
  Scenario same = scenario;
  same.name = "renamed";
  same.plan.groups.front().replicas += 1;
  same.plan_given = !same.plan_given;
  EXPECT_NO_THROW(check_made_for(to_json(scenario.plan, scenario), same, "plan.json"));
  EXPECT_NO_THROW(check_made_for(to_json(scenario.plan), same, "plan.json"));
}

TEST(MadeFor, AChangedScenarioRefusesTheOldPlan) {
  const Scenario scenario = loaded();
  Scenario changed = scenario;
  changed.cluster.pools.front().nodes += 1;
  try {
    check_made_for(to_json(scenario.plan, scenario), changed, "plan.json");
    FAIL() << "one more node is another scenario";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kInput);
    for (const std::string& part : {std::string("plan.json"), question_digest(scenario), question_digest(changed)})
      EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace lindos
