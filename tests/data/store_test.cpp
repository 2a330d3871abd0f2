// SPDX-License-Identifier: Apache-2.0
#include "data/store/store.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "scenarios/error.h"
#include "tests/data/sample_run.h"

namespace lindos::data {
namespace {

using ::testing::HasSubstr;

class StoreTest : public ::testing::Test {
 protected:
  ScratchFolder folder_;
  Store store_ = Store::open(folder_ / "new/lindos.db", Store::Mode::kReadWrite);
};

TEST_F(StoreTest, GivesBackWhatItTook) {
  RunRecord predicted = sample_run(RunSource::kPredicted, ~std::uint64_t{0});
  predicted.environment.profile_digest = "9f0f";
  const std::int64_t id = store_.insert(predicted, "name = \"x\"", "{}", sample_profile_json());
  EXPECT_EQ(store_.load(id), predicted);
  EXPECT_EQ(store_.scenario_text("5ce0"), "name = \"x\"");
  EXPECT_EQ(store_.plan_json("91a0"), "{}");
  EXPECT_EQ(store_.profile_json("9f0f"), sample_profile_json());
  EXPECT_EQ(store_.profile_json("none"), std::nullopt);

  const RunRecord measured = sample_run(RunSource::kMeasured);
  EXPECT_EQ(store_.load(store_.insert(measured, "", "", "")), measured);
}

TEST_F(StoreTest, KeepsAndComparesEachTenantsFigures) {
  RunRecord predicted = sample_run(RunSource::kPredicted);
  predicted.tenants["chat"]["goodput"] = {0.5, 0.75, 1.0, "1", "modelled"};
  predicted.tenants["chat"]["ttft_s"] = {0.1, 0.2, 0.3, "s", "modelled"};
  predicted.tenants["batch"]["rejected_share"] = {0.0, 0.0, 0.0, "1", "modelled"};
  EXPECT_EQ(store_.load(store_.insert(predicted, "", "", "")), predicted);
  RunRecord measured = sample_run(RunSource::kMeasured);
  measured.tenants["chat"]["ttft_s"] = {0.4, 0.4, 0.4, "s", "measured"};
  measured.tenants["late"]["goodput"] = {1.0, 1.0, 1.0, "1", "measured"};
  EXPECT_EQ(store_.load(store_.insert(measured, "", "", "")), measured);
  const std::vector<TenantComparison> tenants = compare_tenants(predicted, measured);
  ASSERT_EQ(tenants.size(), 3U);
  EXPECT_EQ(tenants[0].tenant, "batch");
  EXPECT_EQ(tenants[2].tenant, "late");
  ASSERT_EQ(tenants[1].metrics.size(), 2U);
  const MetricComparison& ttft = tenants[1].metrics[0];
  EXPECT_EQ(ttft.name, "ttft_s");
  EXPECT_DOUBLE_EQ(ttft.error_ratio.value(), -0.5);
  EXPECT_FALSE(ttft.inside_interval.value());
  EXPECT_FALSE(tenants[1].metrics[1].measured) << "goodput is predicted only";
}

TEST_F(StoreTest, KeepsItAfterClosing) {
  const std::int64_t id = insert_sample(store_, RunSource::kPredicted);
  const auto path = folder_ / "new/lindos.db";
  store_ = Store::open(folder_ / "other.db", Store::Mode::kReadWrite);  // closes the first
  EXPECT_EQ(Store::open(path, Store::Mode::kReadOnly).load(id), sample_run(RunSource::kPredicted));
  EXPECT_EQ(Store::open(path, Store::Mode::kReadWrite).load(id), sample_run(RunSource::kPredicted));
}

RC_GTEST_FIXTURE_PROP(StoreTest, RoundTrip,
                      (std::uint64_t seed, std::string host, std::array<double, 3> values)) {
  RC_PRE(std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); }));
  std::sort(values.begin(), values.end());
  RunRecord record = sample_run(RunSource::kPredicted, seed);
  // Only text that is UTF-8 can be part of a record; ASCII bytes of any value are.
  for (char& c : host) c = static_cast<char>(static_cast<unsigned char>(c) & 0x7FU);
  record.environment.host = host;
  record.scenario_digest = "digest of " + host;
  for (auto& [name, value] : record.metrics) {
    value.p10 = values[0];
    value.p50 = values[1];
    value.p90 = values[2];
  }
  if (*rc::gen::arbitrary<bool>()) record.metrics.erase("mfu");
  if (*rc::gen::arbitrary<bool>()) record.ledger.clear();
  if (*rc::gen::arbitrary<bool>()) record.environment.libraries.clear();
  const std::int64_t id = store_.insert(record, host, "{}", "");
  RC_ASSERT(store_.load(id) == record);
  RC_ASSERT(store_.scenario_text(record.scenario_digest) == host);
}

TEST_F(StoreTest, ABadRecordIsRefusedAndLeavesNothing) {
  RunRecord record = sample_run(RunSource::kPredicted);
  record.ledger.front().share = 0.6;
  EXPECT_THROW(store_.insert(record, "", "", ""), Error);
  record = sample_run(RunSource::kPredicted);
  record.environment.profile_digest = "9f0f";
  EXPECT_THROW(store_.insert(record, "", "", "{ no profile }"), Error);
  EXPECT_TRUE(store_.list({}).empty());
  EXPECT_EQ(store_.scenario_text("5ce0"), std::nullopt);
  record.environment.profile_digest = "";
  EXPECT_THROW(store_.insert(record, "", "", sample_profile_json()), Error);
}

TEST_F(StoreTest, RunsThatBelongTogetherAreKeptBothOrNotAtAll) {
  const auto path = folder_ / "new/lindos.db";
  const RunRecord predicted = sample_run(RunSource::kPredicted);
  const RunRecord measured = sample_run(RunSource::kMeasured);
  RunRecord bad = measured;
  bad.ledger.front().share = 0.6;
  EXPECT_THROW(store_.insert_together({&predicted, &bad}, "", "", ""), Error);
  EXPECT_TRUE(store_.list({}).empty());
  {
    // A fault that strikes between the two, when the first has been written.
    SQLite::Database raw(path, SQLite::OPEN_READWRITE);
    raw.exec(
        "CREATE TRIGGER fault BEFORE INSERT ON run WHEN NEW.source = 'measured' "
        "BEGIN SELECT raise(ABORT, 'injected fault'); END");
  }
  EXPECT_THROW(store_.insert_together({&predicted, &measured}, "", "", ""), Error);
  EXPECT_TRUE(store_.list({}).empty());
  EXPECT_EQ(store_.scenario_text("5ce0"), std::nullopt);
  SQLite::Database(path, SQLite::OPEN_READWRITE).exec("DROP TRIGGER fault");
  const auto ids = store_.insert_together({&predicted, &measured}, "", "", "");
  ASSERT_EQ(ids.size(), 2U);
  EXPECT_EQ(store_.load(ids[0]), predicted);
  EXPECT_EQ(store_.load(ids[1]), measured);
}

TEST_F(StoreTest, ListsNewestFirstAndFilters) {
  RunRecord other = sample_run(RunSource::kPredicted);
  other.fidelity = "closed";
  other.scenario_name = "h200";
  other.scenario_digest = "aaaa";
  const auto first = insert_sample(store_, RunSource::kPredicted);
  const auto second = store_.insert(other, "", "", "");
  const auto third = insert_sample(store_, RunSource::kMeasured);
  const auto ids = [&](const RunFilter& filter) {
    std::vector<std::int64_t> out;
    for (const RunSummary& run : store_.list(filter)) out.push_back(run.id);
    return out;
  };
  using Ids = std::vector<std::int64_t>;
  EXPECT_EQ(ids({}), (Ids{third, second, first}));
  RunFilter filter;
  filter.source = RunSource::kPredicted;
  EXPECT_EQ(ids(filter), (Ids{second, first}));
  filter.limit = 1;
  EXPECT_EQ(ids(filter), (Ids{second}));
  filter = {};
  filter.scenario_name = "this-machine";
  EXPECT_EQ(ids(filter), (Ids{third, first}));
  filter.fidelity = "engine";
  EXPECT_EQ(ids(filter), (Ids{third}));
  filter.plan_digest = "none";
  EXPECT_TRUE(ids(filter).empty());
  EXPECT_FALSE(store_.latest(filter));

  filter = {};
  filter.scenario_digest = "aaaa";
  const auto latest = store_.latest(filter);
  ASSERT_TRUE(latest);
  EXPECT_EQ(latest->id, second);
  EXPECT_EQ(latest->fidelity, "closed");
  EXPECT_EQ(latest->plan_name, "tp2");
  EXPECT_EQ(latest->started_utc, "2026-11-21T02:00:00Z");
  EXPECT_EQ(latest->created_utc.size(), std::string("2026-11-21T02:00:00.000Z").size());
}

TEST_F(StoreTest, APairIsOfOneScenarioAndPlan) {
  EXPECT_FALSE(store_.find_pair());
  RunRecord elsewhere = sample_run(RunSource::kMeasured);
  elsewhere.plan_digest = "bbbb";
  insert_sample(store_, RunSource::kPredicted);
  store_.insert(elsewhere, "", "", "");
  EXPECT_FALSE(store_.find_pair());
  const auto measured = insert_sample(store_, RunSource::kMeasured);
  const auto predicted = insert_sample(store_, RunSource::kPredicted);
  for (const auto& pair : {store_.find_pair(), store_.find_pair("5ce0", "91a0"),
                           store_.find_pair("5ce0"), store_.find_pair("", "91a0")}) {
    ASSERT_TRUE(pair);
    EXPECT_EQ(pair->predicted, predicted);
    EXPECT_EQ(pair->measured, measured);
  }
  EXPECT_FALSE(store_.find_pair("5ce0", "bbbb"));
}

TEST_F(StoreTest, ComparesMetricByMetric) {
  RunRecord predicted = sample_run(RunSource::kPredicted);
  RunRecord measured = sample_run(RunSource::kMeasured);
  predicted.metrics = {{"tpot_s", {0.009, 0.012, 0.013, "s", "modelled"}},
                       {"mfu", {0.2, 0.3, 0.4, "1", "modelled"}},
                       {"goodput", {0.0, 0.0, 0.0, "1", "modelled"}}};
  measured.metrics = {{"tpot_s", {0.01, 0.01, 0.01, "s", "measured"}},
                      {"mfu", {0.5, 0.5, 0.5, "1", "measured"}},
                      {"goodput", {0.0, 0.0, 0.0, "1", "measured"}},
                      {"power_w", {70, 80, 90, "W", "measured"}}};
  const auto p = store_.insert(predicted, "", "", "");
  const auto m = store_.insert(measured, "", "", "");
  const auto rows = store_.compare(p, m);
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[0].name, "mfu");  // order of the registry
  EXPECT_EQ(rows[0].definition, "mfu/1");
  EXPECT_NEAR(*rows[0].error_ratio, (0.3 - 0.5) / 0.5, 1e-12);
  EXPECT_FALSE(*rows[0].inside_interval);
  EXPECT_EQ(rows[1].name, "tpot_s");
  EXPECT_EQ(rows[1].unit, "s");
  EXPECT_NEAR(*rows[1].error_ratio, 0.2, 1e-12);
  EXPECT_TRUE(*rows[1].inside_interval);
  EXPECT_EQ(rows[1].measured->provenance, "measured");
  EXPECT_EQ(rows[2].name, "goodput");
  EXPECT_FALSE(rows[2].error_ratio);  // nothing to divide by
  EXPECT_TRUE(*rows[2].inside_interval);
  EXPECT_EQ(rows[3].name, "power_w");  // on one side only, and still listed
  EXPECT_FALSE(rows[3].predicted);
  EXPECT_EQ(rows[3].measured->p50, 80);
  EXPECT_FALSE(rows[3].error_ratio);
  EXPECT_FALSE(rows[3].inside_interval);
}

TEST_F(StoreTest, HoldsAPredictionWithoutSpreadToTwoPerCent) {
  RunRecord predicted = sample_run(RunSource::kPredicted);
  RunRecord measured = sample_run(RunSource::kMeasured);
  predicted.metrics = {{"memory_peak_bytes", {100e6, 100e6, 100e6, "B", "modelled"}}};
  for (const auto& [value, inside] : {std::pair{101.9e6, true}, {102.1e6, false}, {98.1e6, true}}) {
    measured.metrics = {{"memory_peak_bytes", {value, value, value, "B", "measured"}}};
    EXPECT_EQ(*compare_metrics(predicted, measured).front().inside_interval, inside) << value;
  }
}

TEST_F(StoreTest, ComparesTheLedgersEntryByEntry) {
  RunRecord measured = sample_run(RunSource::kMeasured);
  measured.ledger = {{Cause::kUseful, 0.4, 0.4, 0.4}, {Cause::kNoWork, 0.6, 0.6, 0.6}};
  const auto p =
      insert_sample(store_, RunSource::kPredicted);  // useful 0.25, memory 0.5, host 0.25
  const auto m = store_.insert(measured, "", "", "");
  const auto rows = store_.compare_ledgers(p, m);
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[0].cause, Cause::kUseful);
  EXPECT_NEAR(rows[0].difference, -0.15, 1e-12);
  EXPECT_FALSE(rows[0].inside_interval);
  EXPECT_EQ(rows[1].cause, Cause::kMemoryBound);
  EXPECT_EQ(rows[1].measured, (LedgerEntry{Cause::kMemoryBound, 0, 0, 0}));
  EXPECT_EQ(rows[3].cause, Cause::kNoWork);
  EXPECT_NEAR(rows[3].difference, -0.6, 1e-12);
  double sum = 0.0;
  for (const LedgerComparison& row : rows) sum += row.difference;
  EXPECT_NEAR(sum, 0.0, 1e-9);  // both ledgers sum to 1
}

TEST_F(StoreTest, RefusesToCompareDifferentDefinitions) {
  const auto p = insert_sample(store_, RunSource::kPredicted);
  const auto m = insert_sample(store_, RunSource::kMeasured);
  EXPECT_EQ(store_.compare(p, m).size(), metric_registry().size());
  SQLite::Database raw(folder_ / "new/lindos.db", SQLite::OPEN_READWRITE);
  raw.exec("UPDATE metric SET definition = 'mfu/0' WHERE name = 'mfu' AND run = " +
           std::to_string(m));
  try {
    static_cast<void>(store_.compare(p, m));
    FAIL() << "different definitions";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_THAT(error.what(), HasSubstr("mfu: predicted as mfu/1, measured as mfu/0"));
  }
}

TEST_F(StoreTest, ComparesOnePredictedWithOneMeasuredRun) {
  const auto p = insert_sample(store_, RunSource::kPredicted);
  const auto m = insert_sample(store_, RunSource::kMeasured);
  EXPECT_THROW(static_cast<void>(store_.compare(m, p)), Error);
  EXPECT_THROW(static_cast<void>(store_.compare(p, p)), Error);
  EXPECT_THROW(static_cast<void>(store_.compare_ledgers(m, m)), Error);
  try {
    static_cast<void>(store_.load(99));
    FAIL() << "no such run";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_THAT(error.what(), HasSubstr("no run 99"));
  }
}

TEST_F(StoreTest, KeepsArtifactsBesideARun) {
  const auto id = insert_sample(store_, RunSource::kMeasured);
  const std::string bytes("a\0\xff", 3);
  store_.attach(id, "trace.json", "first");
  store_.attach(id, "trace.json", bytes);
  store_.attach(id, "empty", "");
  EXPECT_EQ(store_.find_artifact(id, "trace.json"), bytes);
  EXPECT_EQ(store_.find_artifact(id, "empty"), "");
  EXPECT_EQ(store_.find_artifact(id, "other"), std::nullopt);
  EXPECT_THROW(store_.attach(id + 1, "x", ""), Error);
}

TEST_F(StoreTest, EqualEnvironmentsAreStoredOnce) {
  insert_sample(store_, RunSource::kPredicted, 1);
  insert_sample(store_, RunSource::kPredicted, 2);
  SQLite::Database raw(folder_ / "new/lindos.db");
  EXPECT_EQ(raw.execAndGet("SELECT count(*) FROM environment").getInt(), 1);
  EXPECT_EQ(raw.execAndGet("SELECT count(*) FROM environment_library").getInt(), 2);
  EXPECT_EQ(raw.execAndGet("SELECT count(*) FROM scenario").getInt(), 1);
}

}  // namespace
}  // namespace lindos::data
