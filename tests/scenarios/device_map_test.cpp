// SPDX-License-Identifier: Apache-2.0
#include "scenarios/device_map.h"

#include <cmath>
#include <limits>
#include <set>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "scenarios/error.h"

namespace lindos {
namespace {

// Two pools, 10 nodes of 4 and 3 nodes of 2; a job of 2 replicas with 2 stages of 4 devices on the first.
DeviceMap sample_map() {
  DeviceMap map;
  map.pools = {{"a", "gpu-a", "GPU A", 4, 10, 2, 2, 2}, {"b", "gpu-b", "GPU B", 2, 3, 0, 0, 0}};
  map.stages = {{"train", 0, 0, 0, 4, 8, 2}, {"train", 1, 0, 4, 4, 8, 2}};
  std::vector<float> slowdown(46, std::numeric_limits<float>::quiet_NaN());
  for (int i = 0; i < 16; ++i) slowdown[static_cast<std::size_t>(i)] = 1.0F + 0.01F * static_cast<float>(i / 4);
  map.fields = {{"slowdown", encode_field(slowdown)}};
  map.steps = {{0, 2.0, 1, 1}, {1, 1.5, 0, 0}};
  map.shown = 1;
  return map;
}

TEST(DeviceMap, NeighboursWithOneValueAreOneSpan) {
  const DeviceMap map = sample_map();
  ASSERT_EQ(map.devices(), 46);
  ASSERT_EQ(map.fields[0].spans.size(), 5U);  // four nodes, and the rest without a value
  EXPECT_EQ(map.fields[0].spans[4].devices, 30U);
  EXPECT_TRUE(std::isnan(map.fields[0].spans[4].value));
  validate_device_map(map, "test");
}

RC_GTEST_PROP(DeviceMap, FieldsComeBackAsTheyWere, (const std::vector<int>& values)) {
  std::vector<float> floats;
  for (const int v : values) floats.push_back(static_cast<float>(v % 3));
  const std::vector<float> back =
      decode_field({"slowdown", encode_field(floats)}, static_cast<std::int64_t>(floats.size()));
  RC_ASSERT(back == floats);
}

TEST(DeviceMap, AFieldOfAnotherFleetIsRefused) {
  EXPECT_THROW(static_cast<void>(decode_field({"slowdown", {{3, 1.0F}}}, 4)), Error);
}

TEST(DeviceMap, ContradictionsAreRefusedWithTheirPlace) {
  const auto refused = [](const auto& spoil, const std::string& where) {
    DeviceMap map = sample_map();
    spoil(map);
    try {
      validate_device_map(map, "run");
      ADD_FAILURE() << "accepted: " << where;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(where), std::string::npos) << error.what();
    }
  };
  refused([](DeviceMap& m) { m.pools[1].devices_per_node = 0; }, "/pools/1");
  refused([](DeviceMap& m) { m.pools[0].name.clear(); }, "/pools/0");
  refused([](DeviceMap& m) { m.pools[0].racks_per_hall = -1; }, "/pools/0");
  refused([](DeviceMap& m) { m.stages[1].pool = 2; }, "/stages/1");
  refused([](DeviceMap& m) { m.stages[1].stride = 3; }, "/stages/1");
  refused([](DeviceMap& m) { m.stages[1].replicas = 6; }, "/stages/1");  // ends at 4 + 5 · 8 + 4 = 48 of 40
  refused([](DeviceMap& m) { m.fields[0].quantity = "colour"; }, "/fields/0");
  refused([](DeviceMap& m) { m.fields[0].spans.pop_back(); }, "/fields/0");
  refused([](DeviceMap& m) { m.steps[0].replica = 2; }, "/steps/0");
  refused([](DeviceMap& m) { m.steps[1].step_s = 0.0; }, "/steps/1");
  refused([](DeviceMap& m) { m.shown = 2; }, "/shown");
}

TEST(DeviceMap, EveryQuantityIsDefined) {
  std::set<std::string_view> names;
  for (const Metric& quantity : device_quantity_registry()) {
    EXPECT_TRUE(names.insert(quantity.name).second);
    EXPECT_EQ(quantity.definition.substr(0, quantity.name.size() + 1), std::string(quantity.name) + "/");
    for (const std::string_view text :
         {quantity.label, quantity.unit, quantity.display, quantity.formula, quantity.sentence}) {
      EXPECT_FALSE(text.empty()) << quantity.name;
    }
    EXPECT_EQ(find_device_quantity(quantity.name), &quantity);
  }
  EXPECT_EQ(find_device_quantity("temperature"), nullptr);
}

}  // namespace
}  // namespace lindos
