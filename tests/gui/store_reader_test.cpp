// SPDX-License-Identifier: Apache-2.0
// The store read from its own thread: what it holds, and a store that is missing, foreign, newer or locked.
#include "gui/work/store_reader.h"

#include <SQLiteCpp/Database.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <QSignalSpy>
#include <fstream>

#include "tests/data/sample_run.h"

namespace lindos::gui {
namespace {

constexpr int kPatience = 20000;

class StoreReaderTest : public ::testing::Test {
 protected:
  data::Store writer() { return data::Store::open(path_, data::Store::Mode::kReadWrite); }
  RunList list() {
    StoreReader reader(path_);
    reader.set_busy_timeout(std::chrono::milliseconds(50));
    RunList out;
    QObject::connect(&reader, &StoreReader::runs_listed, &reader, [&](const RunList& l) { out = l; });
    QSignalSpy listed(&reader, &StoreReader::runs_listed);
    reader.list_runs();
    EXPECT_TRUE(listed.wait(kPatience));
    return out;
  }
  data::ScratchFolder folder_;
  std::filesystem::path path_ = folder_ / "lindos.db";
};

TEST_F(StoreReaderTest, ListsNewestFirstWithTheUsefulShare) {
  data::Store store = writer();
  data::insert_sample(store, RunSource::kPredicted);
  data::insert_sample(store, RunSource::kMeasured);
  const RunList runs = list();
  EXPECT_EQ(runs.state, StoreState::kReady);
  ASSERT_EQ(runs.runs.size(), 2u);
  EXPECT_EQ(runs.runs[0].summary.id, 2);
  EXPECT_DOUBLE_EQ(runs.runs[0].useful.value(), 0.25);
}

TEST_F(StoreReaderTest, APredictionComesWithItsMeasurement) {
  data::Store store = writer();
  const std::int64_t predicted = data::insert_sample(store, RunSource::kPredicted);
  const std::int64_t measured = data::insert_sample(store, RunSource::kMeasured);
  StoreReader reader(path_);
  std::optional<ShownRun> run;
  QObject::connect(&reader, &StoreReader::run_shown, &reader, [&](const ShownRun& r) { run = r; });
  QSignalSpy shown(&reader, &StoreReader::run_shown);
  reader.show_latest("5ce0", "91a0");
  ASSERT_TRUE(shown.wait(kPatience));
  EXPECT_EQ(run->id, predicted);
  EXPECT_EQ(run->record, data::sample_run(RunSource::kPredicted));
  EXPECT_EQ(run->measured_id, measured);
  EXPECT_EQ(run->measured.value(), data::sample_run(RunSource::kMeasured));
}

TEST_F(StoreReaderTest, OnlyTheLastQuestionIsAnswered) {
  data::Store store = writer();
  for (int i = 0; i < 3; ++i) data::insert_sample(store, RunSource::kPredicted, static_cast<std::uint64_t>(i));
  StoreReader reader(path_);
  std::vector<std::int64_t> ids;
  QObject::connect(&reader, &StoreReader::run_shown, &reader, [&](const ShownRun& r) { ids.push_back(r.id); });
  QSignalSpy shown(&reader, &StoreReader::run_shown);
  for (std::int64_t id : {1, 2, 3}) reader.show_run(id);
  ASSERT_TRUE(shown.wait(kPatience));
  shown.wait(100);
  EXPECT_EQ(ids, std::vector<std::int64_t>{3});
}

TEST_F(StoreReaderTest, MissingStoreIsNoError) {
  EXPECT_EQ(list().state, StoreState::kMissing);
  EXPECT_FALSE(std::filesystem::exists(path_));
  StoreReader reader(path_);
  QSignalSpy none(&reader, &StoreReader::no_run);
  reader.show_latest("5ce0", "91a0");
  EXPECT_TRUE(none.wait(kPatience));
}

TEST_F(StoreReaderTest, ForeignFileIsRefused) {
  std::ofstream(path_) << "this is a letter, not a database, and it is longer than a header of one";
  const RunList runs = list();
  EXPECT_EQ(runs.state, StoreState::kRefused);
  EXPECT_TRUE(runs.message.contains("not a Lindos store")) << runs.message.toStdString();
}

TEST_F(StoreReaderTest, NewerStoreIsRefused) {
  { data::Store store = writer(); }
  SQLite::Database(path_.string(), SQLite::OPEN_READWRITE).exec("PRAGMA user_version = 999");
  const RunList runs = list();
  EXPECT_EQ(runs.state, StoreState::kRefused);
  EXPECT_TRUE(runs.message.contains("newer") || runs.message.contains("999")) << runs.message.toStdString();
}

TEST_F(StoreReaderTest, LockedStoreIsTold) {
  { data::Store store = writer(); }
  SQLite::Database other(path_.string(), SQLite::OPEN_READWRITE);
  other.exec("PRAGMA locking_mode = EXCLUSIVE");
  other.exec("BEGIN EXCLUSIVE");
  other.exec("PRAGMA user_version = 1");
  const RunList runs = list();
  EXPECT_EQ(runs.state, StoreState::kRefused);
  EXPECT_TRUE(runs.message.contains("locked")) << runs.message.toStdString();
}

// Permissions do not bind root: for a while all threads are somebody else.
class AsNobody {
 public:
  AsNobody() {
    constexpr uid_t kNobody = 65534;
    EXPECT_TRUE(!root_ || ::seteuid(kNobody) == 0);
  }
  ~AsNobody() { EXPECT_TRUE(!root_ || ::seteuid(0) == 0); }
  AsNobody(const AsNobody&) = delete;
  AsNobody& operator=(const AsNobody&) = delete;

 private:
  bool root_ = ::geteuid() == 0;
};

TEST_F(StoreReaderTest, AStoreThatMayNotBeReadIsToldWithARemedy) {
  const auto refuses = [&] {
    const AsNobody nobody;
    const RunList runs = list();
    EXPECT_EQ(runs.state, StoreState::kRefused);
    EXPECT_TRUE(runs.message.contains("lindos.db")) << runs.message.toStdString();
    EXPECT_TRUE(runs.message.contains("cannot be opened")) << runs.message.toStdString();
    EXPECT_TRUE(runs.message.contains("--db")) << runs.message.toStdString();
    StoreReader reader(path_);
    QSignalSpy failed(&reader, &StoreReader::store_failed);
    reader.show_latest("5ce0", "91a0");  // not taken for a store without runs
    EXPECT_TRUE(failed.wait(kPatience));
  };
  { data::Store store = writer(); }
  std::filesystem::permissions(path_, std::filesystem::perms(0));
  refuses();
  std::filesystem::permissions(folder_.path(), std::filesystem::perms(0600));  // may not be entered
  refuses();
  std::filesystem::permissions(folder_.path(), std::filesystem::perms(0700));
}

TEST_F(StoreReaderTest, UnknownRunIsTold) {
  { data::Store store = writer(); }
  StoreReader reader(path_);
  QSignalSpy failed(&reader, &StoreReader::store_failed);
  reader.show_run(77);
  ASSERT_TRUE(failed.wait(kPatience));
  EXPECT_TRUE(failed[0][0].toString().contains("77"));
}

TEST_F(StoreReaderTest, ScenarioWithAnErrorIsRefusedWithItsPlace) {
  const std::filesystem::path bad = folder_ / "bad.toml";
  std::ofstream(bad) << "format = \"lindos-scenario\"\nversion = 1\nname = 7\n";
  StoreReader reader(path_);
  QSignalSpy refused(&reader, &StoreReader::scenario_refused);
  reader.open_scenario(QString::fromStdString(bad.string()));
  ASSERT_TRUE(refused.wait(kPatience));
  EXPECT_TRUE(refused[0][1].toString().contains("bad.toml:3"));
}

}  // namespace
}  // namespace lindos::gui
