// SPDX-License-Identifier: Apache-2.0
// Device maps in the store: with their run or not at all, exact, and in stores of the version before.
#include <limits>

#include <SQLiteCpp/Database.h>
#include <gmock/gmock.h>

#include "data/store/migrations/migrations.h"
#include "scenarios/error.h"
#include "tests/data/sample_map.h"
#include "tests/data/sample_run.h"

namespace lindos::data {
namespace {

class DeviceMapStoreTest : public ::testing::Test {
 protected:
  std::int64_t insert(Store& store, const DeviceMap& map) {
    const RunRecord record = sample_run(RunSource::kPredicted);
    return store.insert_together({NewRun(&record, &map)}, "[scenario]", "{}", "").front();
  }
  ScratchFolder folder_;
  std::filesystem::path path_ = folder_ / "lindos.db";
  Store store_ = Store::open(path_, Store::Mode::kReadWrite);
};

TEST_F(DeviceMapStoreTest, ComesBackAsItWas) {
  const DeviceMap map = sample_map();
  const std::int64_t id = insert(store_, map);
  const auto back = Store::open(path_, Store::Mode::kReadOnly).load_device_map(id);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->pools, map.pools);
  EXPECT_EQ(back->stages, map.stages);
  EXPECT_EQ(back->steps, map.steps);
  EXPECT_EQ(back->shown, map.shown);
  ASSERT_EQ(back->fields.size(), map.fields.size());
  for (std::size_t i = 0; i < map.fields.size(); ++i) {
    EXPECT_EQ(back->fields[i].quantity, map.fields[i].quantity);
    ASSERT_EQ(back->fields[i].spans.size(), map.fields[i].spans.size());
    for (std::size_t s = 0; s < map.fields[i].spans.size(); ++s) {
      EXPECT_EQ(back->fields[i].spans[s].devices, map.fields[i].spans[s].devices);
      EXPECT_THAT(back->fields[i].spans[s].value, ::testing::NanSensitiveFloatEq(map.fields[i].spans[s].value));
    }
  }
}

TEST_F(DeviceMapStoreTest, ARunNeedsNone) {
  const std::int64_t id = insert_sample(store_, RunSource::kMeasured);
  EXPECT_FALSE(store_.load_device_map(id));
  EXPECT_FALSE(store_.load_device_map(id + 1));
}

TEST_F(DeviceMapStoreTest, ABadMapKeepsItsRunOut) {
  DeviceMap map = sample_map();
  map.stages[0].pool = 9;
  EXPECT_THROW(insert(store_, map), Error);
  EXPECT_TRUE(store_.list({}).empty());
}

TEST_F(DeviceMapStoreTest, GoesWithItsRun) {
  const std::int64_t id = insert(store_, sample_map());
  SQLite::Database raw(path_, SQLite::OPEN_READWRITE);
  raw.exec("PRAGMA foreign_keys = ON");
  raw.exec("DELETE FROM run WHERE id = " + std::to_string(id));
  for (const char* table : {"fleet_pool", "placed_stage", "drawn_step", "device_field"}) {
    EXPECT_EQ(raw.execAndGet(std::string("SELECT count(*) FROM ") + table).getInt(), 0) << table;
  }
}

TEST_F(DeviceMapStoreTest, DamageAndOtherBuildsAreTold) {
  const std::int64_t id = insert(store_, sample_map());
  SQLite::Database raw(path_, SQLite::OPEN_READWRITE);
  const auto complaint = [&](const std::string& change, const std::string& undo) {
    raw.exec(change);
    std::string text;
    try {
      static_cast<void>(store_.load_device_map(id));
    } catch (const Error& error) {
      text = error.what();
    }
    if (!undo.empty()) raw.exec(undo);
    return text;
  };
  EXPECT_THAT(complaint("UPDATE device_field SET definition = 'slowdown/9' WHERE quantity = 'slowdown'",
                        "UPDATE device_field SET definition = 'slowdown/1' WHERE quantity = 'slowdown'"),
              ::testing::HasSubstr("slowdown/9"));
  EXPECT_THAT(complaint("UPDATE placed_stage SET pool = 7 WHERE position = 0",
                        "UPDATE placed_stage SET pool = 0 WHERE position = 0"),
              ::testing::HasSubstr("damaged"));
  EXPECT_THAT(complaint("UPDATE device_field SET spans = x'010203'", ""), ::testing::HasSubstr("cut short"));
}

TEST_F(DeviceMapStoreTest, AStoreOfVersion1IsMigratedWithItsRuns) {
  const auto old = folder_ / "old.db";
  {
    SQLite::Database raw(old, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    raw.exec("PRAGMA application_id = 1280197715");  // "LNDS"
    raw.exec(migrations()[0]);
    raw.exec("PRAGMA user_version = 1");
    raw.exec("INSERT INTO scenario VALUES ('s', 'name', 'text')");
  }
  Store store = Store::open(old, Store::Mode::kReadWrite);
  EXPECT_EQ(store.scenario_text("s"), "text");
  EXPECT_TRUE(store.load_device_map(insert(store, sample_map())));
}

}  // namespace
}  // namespace lindos::data
