// SPDX-License-Identifier: Apache-2.0
// The scenario and catalogue files that are shipped: they load, say where their facts come from,
// print within the width of a terminal and survive saving.
#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/catalogue.h"
#include "scenarios/error.h"
#include "scenarios/scenario.h"

namespace lindos {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

const Catalogue& catalogue() {
  static const Catalogue c = load_catalogue(fs::path(LINDOS_SOURCE_DIR) / "data" / "catalogue");
  return c;
}

Scenario load(const std::string& name) {
  return load_scenario(fs::path(LINDOS_SOURCE_DIR) / "scenarios" / (name + ".toml"), catalogue());
}

const std::vector<std::string>& scenario_names() {
  static const std::vector<std::string> names{
      "colossus1-inference", "colossus1-inference-405b", "colossus1-training", "colossus2-training", "hgx-h100-llama70b",
      "million-gpus",        "one-h200-llama8b",   "this-machine",
      "this-machine-moe"};
  return names;
}

TEST(ScenarioFiles, TheListIsComplete) {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(fs::path(LINDOS_SOURCE_DIR) / "scenarios")) {
    if (entry.path().extension() == ".toml") found.push_back(entry.path().stem().string());
  }
  std::sort(found.begin(), found.end());
  EXPECT_EQ(found, scenario_names());
}

class ScenarioFile : public ::testing::TestWithParam<std::string> {};

std::string name_of_test(const ::testing::TestParamInfo<std::string>& file) {
  std::string name = file.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(All, ScenarioFile, ::testing::ValuesIn(scenario_names()), name_of_test);

TEST_P(ScenarioFile, IsNamedAfterItselfAndSurvivesSaving) {
  const Scenario s = load(GetParam());
  EXPECT_EQ(s.name, GetParam());
  EXPECT_FALSE(s.description.empty());
  const Scenario back = parse_scenario(to_toml(s), "saved.toml", ".", catalogue());
  EXPECT_EQ(back, s);
  EXPECT_EQ(digest(back), digest(s));
}

TEST_P(ScenarioFile, EveryFactHasASource) {
  const Scenario s = load(GetParam());
  for (const Pool& p : s.cluster.pools) EXPECT_FALSE(p.source.text.empty()) << p.name;
  for (const FaultClass& c : s.cluster.faults.classes)
    EXPECT_FALSE(c.source.text.empty()) << c.name;
}

TEST_P(ScenarioFile, ShowFitsATerminalAndNamesPoolsAndModel) {
  const Scenario s = load(GetParam());
  const std::string text = show(s);
  for (const Pool& p : s.cluster.pools) EXPECT_THAT(text, HasSubstr(p.name));
  EXPECT_THAT(text, HasSubstr(s.model.name));
  EXPECT_THAT(text, HasSubstr(digest(s)));
  std::size_t column = 0;
  for (const char c : text) {
    const bool starts_a_character = (static_cast<unsigned char>(c) & 0xc0U) != 0x80U;
    column = c == '\n' ? 0 : column + (starts_a_character ? 1 : 0);
    ASSERT_LE(column, 110U) << text;
  }
}

// modelling handbook section 10: 18,750 servers in racks of 8 and arrays of 8 racks leave 2,343
// racks + 6 servers (48 GPUs) and 292 arrays + 62 servers (496 GPUs); 5,000 trays in racks of 18
// leave 277 + 14; nameplate 18,750 × 10.2 + 6,250 × 10.2 + 5,000 × 6.667 kW = 191.25 + 63.75 + 33.3
// = 288.3 MW, 317.2 MW at PUE 1.1.
TEST(ScenarioFiles, Colossus1IsCountedAsInTheHandbook) {
  const Scenario s = load("colossus1-training");
  EXPECT_EQ(s.cluster.devices(), 220'000);
  const std::string text = show(s);
  for (const char* part :
       {"2,343 racks + 6 nodes", "292 arrays + 62 nodes", "781 racks + 2 nodes",
        "97 arrays + 42 nodes", "277 racks + 14 nodes", "220,000 devices in 30,000 nodes",
        "nameplate 288.3 MW × PUE 1.1 = 317.2 MW, cap 300 MW (106 % of it)"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
}

// 419 interruptions in 54 days on 16,384 GPUs = 1.973e-5 per GPU-hour; over 220,000 GPUs one
// per 13.8 minutes.
TEST(ScenarioFiles, Colossus1FailsAsOftenAsTheLlama3RunDid) {
  const Scenario s = load("colossus1-training");
  double rate = 0.0;
  for (const FaultClass& c : s.cluster.faults.classes) {
    if (c.scope == FaultScope::kDevice) rate += c.rate.value();
  }
  const double anchor = 419.0 / (54.0 * 86400.0 * 16384.0);
  EXPECT_NEAR(rate / anchor, 1.0, 1e-3);  // rates are written with four digits
  EXPECT_THAT(show(s), HasSubstr("one every 13.8 min over the fleet"));
}

TEST(ScenarioFiles, InferenceSharesTheFleetOfTraining) {
  EXPECT_EQ(load("colossus1-inference").cluster, load("colossus1-training").cluster);
}

TEST(ScenarioFiles, AMillionIsAMillion) {
  EXPECT_EQ(load("million-gpus").cluster.devices(), 1'000'000);
}

TEST(Catalogue, HoldsTheDevicesOfTheDesign) {
  for (const char* name :
       {"a100-80-sxm", "h100-sxm", "h200-sxm", "b200-sxm", "gb200-nvl72", "gb300-nvl72"}) {
    const Device& d = catalogue().devices.at(name);
    EXPECT_GT(d.compute_capability, 0) << name;
    // Dense: the datasheets' sparse figures are twice as high.
    EXPECT_LE(d.peak.at(Dtype::kBf16), FlopPerSecond(2500e12)) << name;
    for (const auto& [field, source] : d.sources) {
      EXPECT_FALSE(source.text.empty()) << name << ' ' << field;
      EXPECT_EQ(source.date.size(), 10U) << name << ' ' << field;
    }
  }
  EXPECT_EQ(catalogue().devices.at("gb200-nvl72").scale_out_bandwidth, BytesPerSecond(50e9));
  EXPECT_EQ(catalogue().devices.at("this-machine").compute_capability, 0);
  EXPECT_TRUE(catalogue().models.contains("smollm2-135m"));
  EXPECT_EQ(catalogue().date.size(), 10U);
}

TEST(Catalogue, MissingFolderIsNamed) {
  try {
    static_cast<void>(load_catalogue("/no/such/folder"));
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()), "/no/such/folder/devices: no such catalogue folder");
  }
}

TEST(Catalogue, TheDefaultFolderExists) {
  EXPECT_TRUE(fs::exists(default_catalogue_dir() / "devices" / "h100-sxm.toml"));
}

}  // namespace
}  // namespace lindos
