// SPDX-License-Identifier: Apache-2.0
#include "scenarios/what_if.h"

#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "data/catalogue.h"
#include "scenarios/error.h"
#include "scenarios/scenario.h"

namespace lindos {
namespace {

namespace fs = std::filesystem;

const Catalogue& catalogue() {
  static const Catalogue loaded = load_catalogue(fs::path(LINDOS_SOURCE_DIR) / "data" / "catalogue");
  return loaded;
}

Scenario colossus() {
  return load_scenario(fs::path(LINDOS_SOURCE_DIR) / "scenarios" / "colossus1-training.toml", catalogue());
}

Scenario changed(const std::vector<Setting>& settings) {
  return parse_scenario(with_settings(to_toml(colossus()), settings), "changed.toml", "/", catalogue());
}

TEST(WhatIf, WithoutSettingsNothingChanges) { EXPECT_EQ(digest(changed({})), digest(colossus())); }

TEST(WhatIf, SetsTextsNumbersAndElementsOfArraysByName) {
  EXPECT_EQ(changed({{"power.site_cap", "200 MW"}}).cluster.power.site_cap, Watts(200e6));
  EXPECT_EQ(changed({{"faults.restart", "60 s"}}).cluster.faults.restart, Seconds(60));
  EXPECT_EQ(changed({{"workload.global_batch", "17170"}}).workload.training.global_batch, 17170);
  const Scenario fewer = changed({{"cluster.pool.gb200.spares", "2"}, {"fabric.efficiency", "0.6"}});
  EXPECT_EQ(fewer.cluster.pools[2].spares, 2);
  EXPECT_EQ(fewer.cluster.fabric.efficiency, 0.6);
}

TEST(WhatIf, ValuesAreSplitAtCommas) {
  EXPECT_EQ(parse_settings("a.b=1 MW,2 MW", "--what-if"), (std::vector<Setting>{{"a.b", "1 MW"}, {"a.b", "2 MW"}}));
  EXPECT_EQ(parse_settings("w.prompt=[1,2],[3,4]", "--what-if"),
            (std::vector<Setting>{{"w.prompt", "[1,2]"}, {"w.prompt", "[3,4]"}}));
  for (const char* text : {"", "a", "=1", "a=", "a=1,,2"})
    EXPECT_THROW(static_cast<void>(parse_settings(text, "--what-if")), Error) << text;
}

TEST(WhatIf, UnknownPathsNameTheNearest) {
  const auto complaint = [](const Setting& setting) {
    try {
      static_cast<void>(changed({setting}));
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("accepted");
  };
  EXPECT_NE(complaint({"powr.site_cap", "1 MW"}).find("did you mean \"power\""), std::string::npos);
  EXPECT_NE(complaint({"cluster.pool.h10.nodes", "1"}).find("did you mean \"h100\""), std::string::npos);
  EXPECT_NE(complaint({"power.site_cup", "1 MW"}).find("site_cap"), std::string::npos);
  EXPECT_NE(complaint({"power.site_cap", "-1 MW"}).find("site_cap"), std::string::npos);
}

}  // namespace
}  // namespace lindos
