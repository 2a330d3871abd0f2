// SPDX-License-Identifier: Apache-2.0
// Files and places that are no store, or none that this build may touch.
#include <fstream>
#include <functional>
#include <iterator>
#include <stdexcept>
#include <string>

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "data/store/migrations/migrations.h"
#include "data/store/store.h"
#include "scenarios/error.h"
#include "tests/data/child_process.h"
#include "tests/data/sample_run.h"

namespace lindos::data {
namespace {

using ::testing::HasSubstr;

std::string content_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// The complaint of `work`, which must be an Error of that kind.
std::string complaint(ErrorKind kind, const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind);
    return error.what();
  }
  return "no complaint";
}

std::string refusal(const std::filesystem::path& path, Store::Mode mode,
                    ErrorKind kind = ErrorKind::kInput) {
  return complaint(kind, [&] { static_cast<void>(Store::open(path, mode)); });
}

// Permissions do not bind root.
void become_nobody() {
  constexpr uid_t kNobody = 65534;
  if (::geteuid() == 0 && ::setuid(kNobody) != 0) throw std::runtime_error("setuid failed");
}

constexpr Store::Mode kBothModes[] = {Store::Mode::kReadWrite, Store::Mode::kReadOnly};

TEST(StoreRefusal, ANewerSchemaIsLeftAloneAndBothVersionsAreNamed) {
  const ScratchFolder folder;
  const auto path = folder / "lindos.db";
  static_cast<void>(Store::open(path, Store::Mode::kReadWrite));
  const auto newer = std::to_string(migrations().size() + 1);
  SQLite::Database(path, SQLite::OPEN_READWRITE).exec("PRAGMA user_version = " + newer);
  const std::string before = content_of(path);
  for (const Store::Mode mode : kBothModes) {
    const std::string message = refusal(path, mode);
    EXPECT_THAT(message, HasSubstr("schema version " + newer + ", written by a newer Lindos"));
    EXPECT_THAT(message, HasSubstr("versions up to " + std::to_string(migrations().size())));
    EXPECT_THAT(message, HasSubstr("--db"));
  }
  EXPECT_EQ(content_of(path), before);
}

TEST(StoreRefusal, AnOlderSchemaIsReadOnlyAfterItsMigration) {
  const ScratchFolder folder;
  const auto path = folder / "lindos.db";
  {
    SQLite::Database raw(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    raw.exec("PRAGMA application_id = 1280197715");  // "LNDS", before the first migration
  }
  EXPECT_THAT(refusal(path, Store::Mode::kReadOnly),
              HasSubstr("schema version 0, this build reads version"));
  Store store = Store::open(path, Store::Mode::kReadWrite);
  EXPECT_EQ(store.load(insert_sample(store, RunSource::kPredicted)),
            sample_run(RunSource::kPredicted));
}

TEST(StoreRefusal, FilesOfOthersAreNotTouched) {
  const ScratchFolder folder;
  const auto text = folder / "notes.txt";
  std::ofstream(text) << std::string(5000, 'n');
  const auto foreign = folder / "foreign.db";
  SQLite::Database(foreign, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE)
      .exec("CREATE TABLE cat (name TEXT)");
  const std::string foreign_before = content_of(foreign);
  for (const Store::Mode mode : kBothModes) {
    EXPECT_THAT(refusal(text, mode), HasSubstr("not a Lindos store: it is no SQLite file"));
    EXPECT_THAT(refusal(foreign, mode), HasSubstr("not a Lindos store: an SQLite file of another"));
  }
  EXPECT_EQ(content_of(text), std::string(5000, 'n'));
  EXPECT_EQ(content_of(foreign), foreign_before);
}

TEST(StoreRefusal, ReadingNeedsAStore) {
  const ScratchFolder folder;
  EXPECT_THAT(refusal(folder / "none.db", Store::Mode::kReadOnly), HasSubstr("no store here"));
  EXPECT_FALSE(std::filesystem::exists(folder / "none.db"));
  std::ofstream(folder / "empty.db").flush();
  EXPECT_THAT(refusal(folder / "empty.db", Store::Mode::kReadOnly), HasSubstr("the file is empty"));
}

TEST(StoreRefusal, AReadOnlyConnectionDoesNotWrite) {
  const ScratchFolder folder;
  const auto path = folder / "lindos.db";
  static_cast<void>(Store::open(path, Store::Mode::kReadWrite));
  Store store = Store::open(path, Store::Mode::kReadOnly);
  const std::string message =
      complaint(ErrorKind::kEnvironment, [&] { insert_sample(store, RunSource::kPredicted); });
  EXPECT_THAT(message, HasSubstr("the store cannot be written"));
}

TEST(StoreRefusal, AFolderThatCannotBeMadeIsNamed) {
  const ScratchFolder folder;
  std::ofstream(folder / "file") << "x";
  EXPECT_THAT(refusal(folder / "file/lindos.db", Store::Mode::kReadWrite, ErrorKind::kEnvironment),
              HasSubstr("the folder of the store cannot be made"));
  EXPECT_THAT(refusal(folder.path(), Store::Mode::kReadWrite, ErrorKind::kEnvironment),
              HasSubstr("the store cannot be opened"));
}

TEST(StoreRefusal, AReadOnlyPlaceIsNoticedAtOnceAndCanStillBeRead) {
  const ScratchFolder folder;
  const auto place = folder / "place";
  const auto path = place / "odd %3f name?#.db";
  std::int64_t id = 0;
  {
    Store store = Store::open(path, Store::Mode::kReadWrite);
    id = insert_sample(store, RunSource::kMeasured);
  }
  std::filesystem::permissions(path, std::filesystem::perms(0444));
  std::filesystem::permissions(place, std::filesystem::perms(0555));
  const pid_t child = in_child([&] {
    become_nobody();
    EXPECT_THAT(refusal(path, Store::Mode::kReadWrite, ErrorKind::kEnvironment),
                HasSubstr("--no-db"));
    EXPECT_THAT(refusal(place / "new.db", Store::Mode::kReadWrite, ErrorKind::kEnvironment),
                HasSubstr("the store cannot be opened"));
    EXPECT_EQ(Store::open(path, Store::Mode::kReadOnly).load(id), sample_run(RunSource::kMeasured));
  });
  EXPECT_EQ(exit_status(child), 0);
}

// A writable folder around a write-protected file: SQLite would open it for reading and say
// nothing.
TEST(StoreRefusal, AWriteProtectedFileIsNoticedAtOnce) {
  const ScratchFolder folder;
  const auto place = folder / "place";
  const auto path = place / "lindos.db";
  static_cast<void>(Store::open(path, Store::Mode::kReadWrite));
  std::filesystem::permissions(path, std::filesystem::perms(0444));
  std::filesystem::permissions(place, std::filesystem::perms(0777));
  const pid_t child = in_child([&] {
    become_nobody();
    EXPECT_THAT(refusal(path, Store::Mode::kReadWrite, ErrorKind::kEnvironment),
                HasSubstr("the store cannot be written"));
  });
  EXPECT_EQ(exit_status(child), 0);
}

// Overwrites each page but the first with noise: whatever is read is an answer or an Error, and
// what reads the damaged pages says that they are.
TEST(StoreRefusal, ADamagedFileIsNamedAsOne) {
  const ScratchFolder folder;
  const auto path = folder / "lindos.db";
  {
    Store store = Store::open(path, Store::Mode::kReadWrite);
    for (int i = 0; i < 20; ++i) insert_sample(store, RunSource::kPredicted);
  }
  constexpr std::streamoff kPage = 4096;
  const auto size = static_cast<std::streamoff>(std::filesystem::file_size(path));
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(kPage);
  const std::string noise(static_cast<std::size_t>(size - kPage), '\x5a');
  file.write(noise.data(), static_cast<std::streamsize>(noise.size()));
  file.close();
  const Store store = Store::open(path, Store::Mode::kReadOnly);
  const std::string message =
      complaint(ErrorKind::kEnvironment, [&] { static_cast<void>(store.load(1)); });
  EXPECT_THAT(message, HasSubstr("the store is damaged"));
  EXPECT_THAT(message, HasSubstr(".recover"));
}

TEST(StoreRefusal, ATruncatedFileIsNamedAsDamaged) {
  const ScratchFolder folder;
  const auto path = folder / "lindos.db";
  {
    Store store = Store::open(path, Store::Mode::kReadWrite);
    for (int i = 0; i < 20; ++i) insert_sample(store, RunSource::kPredicted);
  }
  std::filesystem::resize_file(path, 5000);
  const std::string message = complaint(ErrorKind::kEnvironment, [&] {
    static_cast<void>(Store::open(path, Store::Mode::kReadOnly).list({}));
  });
  EXPECT_THAT(message, HasSubstr("the store is damaged"));
}

}  // namespace
}  // namespace lindos::data
