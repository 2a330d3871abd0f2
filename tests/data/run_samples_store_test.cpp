// SPDX-License-Identifier: Apache-2.0
// Samples and the timeline of a measured run go in and out with it.
#include <bit>
#include <cmath>
#include <limits>

#include <SQLiteCpp/Database.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/store/migrations/migrations.h"
#include "scenarios/error.h"
#include "tests/data/sample_run.h"

namespace lindos::data {
namespace {

RunSamples sample_series() {
  RunSamples samples;
  samples.phases = {{0.0, "run 1 of 2"}, {1.25, "run 2 of 2"}};
  samples.series = {{"run", "ttft_s", "", {{0.5F, 0.1F}, {1.0F, std::numeric_limits<float>::quiet_NaN()}}},
                    {"gpu 0", "power_w", "", {{0.5F, 612.0F}, {1.0F, 0.0F}}},
                    {"InfiniBand", "sent_bytes_per_s", "no driver", {}}};
  return samples;
}

class RunSamplesStoreTest : public ::testing::Test {
 protected:
  std::int64_t insert(Store& store, const RunSamples& samples) {
    const RunRecord record = sample_run(RunSource::kMeasured);
    const std::string timeline = "{\"timeline\": 1}";
    return store.insert_together({NewRun(&record, nullptr, &samples, &timeline)}, "[scenario]", "{\"plan\": 1}", "").front();
  }
  ScratchFolder folder_;
};

TEST_F(RunSamplesStoreTest, WhatGoesInComesOut) {
  Store store = Store::open(folder_ / "a.db", Store::Mode::kReadWrite);
  const RunSamples in = sample_series();
  const std::int64_t run = insert(store, in);
  const RunSamples out = store.load_run_samples(run).value();
  EXPECT_EQ(out.phases, in.phases);
  ASSERT_EQ(out.series.size(), in.series.size());
  for (std::size_t i = 0; i < in.series.size(); ++i) {
    EXPECT_EQ(out.series[i].subject, in.series[i].subject);
    EXPECT_EQ(out.series[i].quantity, in.series[i].quantity);
    EXPECT_EQ(out.series[i].absent, in.series[i].absent);
    ASSERT_EQ(out.series[i].points.size(), in.series[i].points.size());
    for (std::size_t p = 0; p < in.series[i].points.size(); ++p) {
      EXPECT_EQ(out.series[i].points[p].t_s, in.series[i].points[p].t_s);
      EXPECT_EQ(std::bit_cast<std::uint32_t>(out.series[i].points[p].value),
                std::bit_cast<std::uint32_t>(in.series[i].points[p].value));
    }
  }
  EXPECT_EQ(store.find_artifact(run, kTimelineArtifact), "{\"timeline\": 1}");
  EXPECT_FALSE(store.load_run_samples(insert_sample(store, RunSource::kMeasured)));
  EXPECT_FALSE(store.load_run_samples(77));
}

TEST_F(RunSamplesStoreTest, BadSamplesStoreNothing) {
  Store store = Store::open(folder_ / "a.db", Store::Mode::kReadWrite);
  RunSamples bad = sample_series();
  bad.series[0].quantity = "nothing";
  EXPECT_THROW(insert(store, bad), Error);
  EXPECT_TRUE(store.list({}).empty());
}

TEST_F(RunSamplesStoreTest, DamageIsNamed) {
  const auto path = folder_ / "a.db";
  Store store = Store::open(path, Store::Mode::kReadWrite);
  const std::int64_t run = insert(store, sample_series());
  SQLite::Database raw(path, SQLite::OPEN_READWRITE);
  const auto complaint = [&](const std::string& damage) -> std::string {
    raw.exec(damage);
    try {
      static_cast<void>(store.load_run_samples(run));
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(complaint("UPDATE sample_series SET points = x'0102' WHERE position = 0"), ::testing::HasSubstr("cut short"));
  EXPECT_THAT(complaint("UPDATE sample_series SET points = x'' WHERE position = 0"), ::testing::HasSubstr("damaged"));
  EXPECT_THAT(complaint("UPDATE sample_series SET definition = 'sampled_ttft_s/9' WHERE position = 0"),
              ::testing::HasSubstr("sampled_ttft_s/9"));
}

TEST_F(RunSamplesStoreTest, AStoreOfVersion2IsMigratedWithItsRuns) {
  const auto old = folder_ / "old.db";
  {
    SQLite::Database raw(old, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    raw.exec("PRAGMA application_id = 1280197715");  // "LNDS"
    raw.exec(migrations()[0]);
    raw.exec(migrations()[1]);
    raw.exec("PRAGMA user_version = 2");
    raw.exec("INSERT INTO scenario VALUES ('s', 'name', 'text')");
  }
  Store store = Store::open(old, Store::Mode::kReadWrite);
  EXPECT_EQ(store.scenario_text("s"), "text");
  EXPECT_TRUE(store.load_run_samples(insert(store, sample_series())));
}

}  // namespace
}  // namespace lindos::data
