// SPDX-License-Identifier: Apache-2.0
// Two recorded jobs with published results (reference data beside the checkout, not part of it).
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "scenarios/text_file.h"
#include "sim/stragglers/trace_meta.h"
#include "sim/stragglers/what_if.h"

namespace lindos::sim {
namespace {

// The modelling handbook's acceptance for every slowdown of both traces.
constexpr double kTolerance = 1e-4;

std::filesystem::path folder() {
  return std::filesystem::path(LINDOS_SOURCE_DIR).parent_path() / "shared/reference/stragglers";
}

nlohmann::json expected(const std::string& name) {
  std::ifstream in(folder() / name);
  return nlohmann::json::parse(in);
}

void expect_effects(const std::vector<NamedEffect>& effects, const nlohmann::json& slowdowns) {
  EXPECT_EQ(effects.size(), slowdowns.size());
  for (const NamedEffect& e : effects) {
    ASSERT_TRUE(slowdowns.contains(e.name)) << e.name;
    EXPECT_NEAR(e.effect.slowdown, slowdowns.at(e.name).get<double>(), kTolerance) << e.name;
  }
}

void expect_steps(const StragglerTrace& trace, const std::vector<Seconds>& steps,
                  const nlohmann::json& seconds) {
  ASSERT_EQ(steps.size(), seconds.size());
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const double value = seconds.at(std::to_string(trace.steps[i])).get<double>();
    EXPECT_NEAR(steps[i].count() / value, 1.0, 1e-6) << trace.steps[i];
  }
}

class PublishedTrace : public ::testing::TestWithParam<std::string> {};

TEST_P(PublishedTrace, EverySlowdownIsReproduced) {
  const std::string name = GetParam();
  const auto path = folder() / ("trace-" + name + ".csv.gz");
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no reference data at " << path;
  const auto meta = find_trace_meta(path);
  ASSERT_TRUE(meta);
  const StragglerTrace trace =
      read_straggler_trace(path, parse_trace_meta(read_text_file(*meta, ""), meta->string()));
  const WhatIf result = analyse_what_if(trace);
  const nlohmann::json result_json = expected("result-" + name + ".json");
  expect_steps(trace, result.recorded, result_json.at("step_t_base"));
  expect_steps(trace, result.no_delay, result_json.at("step_t_nodelay"));
  expect_steps(trace, result.ideal, result_json.at("step_t_noblk"));
  EXPECT_NEAR(result.slowdown, result_json.at("blocking_slowdown").get<double>(), kTolerance);
  EXPECT_NEAR(result.launch_slowdown, result_json.at("launch_slowdown").get<double>(), kTolerance);
  expect_effects(result.by_data_rank, result_json.at("blocking_decompose_by_dp_rank"));
  expect_effects(result.by_stage, result_json.at("blocking_decompose_by_stage"));
  expect_effects(result.by_op_type, result_json.at("blocking_decompose_by_optype"));

  const nlohmann::json worst = expected("mw-" + name + ".json");
  EXPECT_NEAR(result.worst_ranks_effect.recovery.value(), worst.at("Mw").get<double>(), kTolerance);
  EXPECT_NEAR(result.worst_ranks_effect.without.count() / worst.at("trem").get<double>(), 1.0,
              kTolerance);
  EXPECT_NEAR(result.worst_ranks_effect.only.count() / worst.at("tadd").get<double>(), 1.0,
              kTolerance);
  const nlohmann::json last = expected("ms-" + name + ".json");
  EXPECT_NEAR(result.last_stage_effect.recovery.value(), last.at("Ms").get<double>(), kTolerance);
  EXPECT_NEAR(result.last_stage_effect.without.count() / last.at("trem").get<double>(), 1.0,
              kTolerance);
}

INSTANTIATE_TEST_SUITE_P(Reference, PublishedTrace, ::testing::Values("AR", "ST"),
                         [](const auto& trace) { return trace.param; });

}  // namespace
}  // namespace lindos::sim
