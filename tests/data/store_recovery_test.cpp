// SPDX-License-Identifier: Apache-2.0
// Processes that write at once, die or run out of space: nothing half-written, nothing committed
// lost.
#include <array>
#include <chrono>
#include <csignal>
#include <random>
#include <set>
#include <string>
#include <thread>

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "data/store/store.h"
#include "scenarios/error.h"
#include "tests/data/child_process.h"
#include "tests/data/sample_run.h"

namespace lindos::data {
namespace {

using ::testing::HasSubstr;

void expect_consistent(const std::filesystem::path& path) {
  SQLite::Database raw(path);
  EXPECT_EQ(raw.execAndGet("PRAGMA integrity_check").getString(), "ok");
  SQLite::Statement violations(raw, "PRAGMA foreign_key_check");
  EXPECT_FALSE(violations.executeStep());
  SQLite::Statement incomplete(
      raw,
      "SELECT id FROM run WHERE (SELECT count(*) FROM metric WHERE run = id) <> ?"
      " OR (SELECT count(*) FROM ledger_entry WHERE run = id) <> ?");
  incomplete.bind(1, static_cast<std::int64_t>(metric_registry().size()));
  incomplete.bind(2, kSampleLedgerEntries);
  EXPECT_FALSE(incomplete.executeStep()) << "an incomplete run";
}

TEST(StoreRecovery, TwoProcessesWriteAtOnceFromTheFirstMoment) {
  constexpr int kRuns = 100;
  const ScratchFolder folder;
  const auto path = folder / "lindos.db";
  // Both also race to make the file, switch it to WAL and create the schema.
  const auto write = [&](std::uint64_t first_seed) {
    Store store = Store::open(path, Store::Mode::kReadWrite);
    for (std::uint64_t i = 0; i < kRuns; ++i) {
      insert_sample(store, RunSource::kPredicted, first_seed + i);
    }
  };
  const pid_t first = in_child([&] { write(0); });
  const pid_t second = in_child([&] { write(1000); });
  EXPECT_EQ(exit_status(first), 0);
  EXPECT_EQ(exit_status(second), 0);
  const Store store = Store::open(path, Store::Mode::kReadOnly);
  std::set<std::uint64_t> seeds;
  for (const RunSummary& run : store.list({})) seeds.insert(store.load(run.id).seed);
  EXPECT_EQ(seeds.size(), 2U * kRuns);
  expect_consistent(path);
}

TEST(StoreRecovery, AReaderSeesWholeRunsWhileAnotherWrites) {
  const ScratchFolder folder;
  const auto path = folder / "lindos.db";
  Store reader = Store::open(path, Store::Mode::kReadWrite);
  const pid_t writer = in_child([&] {
    Store store = Store::open(path, Store::Mode::kReadWrite);
    for (int i = 0; i < 100; ++i) insert_sample(store, RunSource::kPredicted);
  });
  std::size_t seen = 0;
  while (seen < 100) {
    const auto latest = reader.latest({});
    if (!latest) continue;
    ASSERT_EQ(reader.load(latest->id), sample_run(RunSource::kPredicted));
    seen = reader.list({}).size();
    if (::waitpid(writer, nullptr, WNOHANG) != 0) break;
  }
  ::waitpid(writer, nullptr, 0);  // may have been collected above
  EXPECT_EQ(reader.list({}).size(), 100U);
}

// A child inserts in a loop and reports each run that insert() returned; it is killed at a random
// moment. Every second round begins a new file, so that the making of the schema is hit too.
TEST(StoreRecovery, KillAtAnyMomentLosesAtMostTheRunBeingWritten) {
  constexpr int kRounds = 30;
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const ScratchFolder folder;
  std::size_t reported_in_all = 0;
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    const bool fresh = round % 2 == 1;
    const auto path = folder / (fresh ? "fresh-" + std::to_string(round) + ".db" : "kept.db");
    std::size_t before = 0;
    if (std::filesystem::exists(path)) {
      before = Store::open(path, Store::Mode::kReadWrite).list({}).size();
    }
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe(ends.data()), 0);
    const pid_t child = in_child([&] {
      Store store = Store::open(path, Store::Mode::kReadWrite);
      while (true) {
        insert_sample(store, RunSource::kMeasured);
        if (::write(ends[1], "x", 1) != 1) return;
      }
    });
    ::close(ends[1]);
    const int longest_us = fresh ? 15000 : 40000;
    std::this_thread::sleep_for(
        std::chrono::microseconds(std::uniform_int_distribution<int>(0, longest_us)(random)));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    std::size_t reported = 0;
    std::array<char, 4096> buffer{};
    for (ssize_t n = 0; (n = ::read(ends[0], buffer.data(), buffer.size())) > 0;) {
      reported += static_cast<std::size_t>(n);
    }
    ::close(ends[0]);
    reported_in_all += reported;

    const std::size_t after = Store::open(path, Store::Mode::kReadWrite).list({}).size() - before;
    EXPECT_GE(after, reported) << "a committed run was lost";
    EXPECT_LE(after, reported + 1);
    expect_consistent(path);
  }
  EXPECT_GT(reported_in_all, 0U) << "no round got as far as a run: the test proved nothing";
}

TEST(StoreRecovery, KillAtAnyMomentKeepsBothRunsOfAPairOrNeither) {
  constexpr int kRounds = 30;
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const ScratchFolder folder;
  const auto path = folder / "lindos.db";
  const RunRecord predicted = sample_run(RunSource::kPredicted);
  const RunRecord measured = sample_run(RunSource::kMeasured);
  static_cast<void>(Store::open(path, Store::Mode::kReadWrite));
  for (int round = 0; round < kRounds; ++round) {
    const pid_t child = in_child([&] {
      Store store = Store::open(path, Store::Mode::kReadWrite);
      while (true) static_cast<void>(store.insert_together({&predicted, &measured}, "", "{}", ""));
    });
    std::this_thread::sleep_for(
        std::chrono::microseconds(std::uniform_int_distribution<int>(0, 20000)(random)));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const Store store = Store::open(path, Store::Mode::kReadOnly);
    RunFilter filter;
    filter.source = RunSource::kPredicted;
    EXPECT_EQ(2 * store.list(filter).size(), store.list({}).size());
    expect_consistent(path);
  }
  const Store store = Store::open(path, Store::Mode::kReadOnly);
  EXPECT_FALSE(store.list({}).empty()) << "no round got as far as a run: the test proved nothing";
}

TEST(StoreRecovery, AFullDiskRecordsNothingAndSaysSo) {
  const ScratchFolder folder;
  const auto path = folder / "lindos.db";
  StoreOptions options;
  options.max_bytes = 200 * 1024;
  Store store = Store::open(path, Store::Mode::kReadWrite, options);
  std::size_t inserted = 0;
  try {
    while (inserted < 10000) {
      insert_sample(store, RunSource::kPredicted);
      ++inserted;
    }
    FAIL() << "the limit was not reached";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kEnvironment);
    EXPECT_THAT(error.what(), HasSubstr("no space left for the store; nothing was recorded"));
    EXPECT_THAT(error.what(), HasSubstr("--no-db"));
  }
  EXPECT_GT(inserted, 0U);
  // What was there stays, and with space the store goes on.
  EXPECT_EQ(store.list({}).size(), inserted);
  expect_consistent(path);
  Store roomy = Store::open(path, Store::Mode::kReadWrite);
  insert_sample(roomy, RunSource::kPredicted);
  EXPECT_EQ(roomy.list({}).size(), inserted + 1);
}

TEST(StoreRecovery, ALockThatIsNotGivenUpIsNamed) {
  const ScratchFolder folder;
  const auto path = folder / "lindos.db";
  StoreOptions options;
  options.busy_timeout = std::chrono::milliseconds(20);
  Store store = Store::open(path, Store::Mode::kReadWrite, options);
  SQLite::Database other(path, SQLite::OPEN_READWRITE);
  other.exec("BEGIN IMMEDIATE");
  try {
    insert_sample(store, RunSource::kPredicted);
    FAIL() << "another connection holds the lock";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kEnvironment);
    EXPECT_THAT(error.what(), HasSubstr("another process holds the store locked"));
  }
  other.exec("ROLLBACK");
  EXPECT_GT(insert_sample(store, RunSource::kPredicted), 0);
}

}  // namespace
}  // namespace lindos::data
