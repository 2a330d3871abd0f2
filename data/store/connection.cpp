// SPDX-License-Identifier: Apache-2.0
#include "data/store/connection.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Transaction.h>

#include "data/store/migrations/migrations.h"
#include "scenarios/error.h"

namespace lindos::data {
namespace {

// "LNDS": tells a store from any other SQLite file.
constexpr int kApplicationId = 0x4C4E4453;

// Primary result codes; SQLite never changes them (sqlite.org/rescode.html).
enum ResultCode : int {
  kBusy = 5,
  kReadOnlyDatabase = 8,
  kIoError = 10,
  kCorrupt = 11,
  kFull = 13,
  kCannotOpen = 14,
  kNotADatabase = 26,
};

constexpr const char* kElsewhere =
    "; choose another place with --db, or record nothing with --no-db";

int integer(SQLite::Database& database, const char* query) {
  return database.execAndGet(query).getInt();
}

int schema_version() { return static_cast<int>(migrations().size()); }

// file: URI of a path; only these characters have a meaning in one.
std::string uri_of(const std::filesystem::path& path) {
  std::string uri = "file:";
  for (const char c : std::filesystem::absolute(path).string()) {
    switch (c) {
      case '%':
        uri += "%25";
        break;
      case '?':
        uri += "%3f";
        break;
      case '#':
        uri += "%23";
        break;
      default:
        uri += c;
    }
  }
  return uri;
}

// A store that was closed properly and lies in a folder where SQLite cannot put its shared-memory
// file can still be read: nobody else can be writing there.
bool readable_as_it_lies(const std::filesystem::path& path) {
  std::error_code ignored;
  const auto log = std::filesystem::path(path) += "-wal";
  return std::filesystem::is_regular_file(path, ignored) && !std::filesystem::exists(log, ignored);
}

}  // namespace

Connection::Connection(std::filesystem::path path, Store::Mode mode, const StoreOptions& options)
    : path_(std::move(path)), database_([&] {
        try {
          return opened(mode, options);
        } catch (const SQLite::Exception& error) {
          translate(error);
        }
      }()) {}

void Connection::translate(const SQLite::Exception& error) const {
  const std::string where = path_.string();
  const std::string reason = error.what();
  switch (error.getErrorCode()) {
    case kNotADatabase:
      throw Error(ErrorKind::kInput, where, "not a Lindos store: it is no SQLite file; choose another with --db");
    case kFull:
      throw Error(ErrorKind::kEnvironment, where,
                  "no space left for the store; nothing was recorded. Free some space" +
                      std::string(kElsewhere));
    case kReadOnlyDatabase:
      throw Error(ErrorKind::kEnvironment, where,
                  "the store cannot be written (" + reason +
                      "); make the file and its folder writable" + kElsewhere);
    case kCannotOpen:
      throw Error(ErrorKind::kEnvironment, where,
                  "the store cannot be opened (" + reason +
                      "); check that its folder exists and may be "
                      "read and written" +
                      kElsewhere);
    case kBusy:
      throw Error(ErrorKind::kEnvironment, where,
                  "another process holds the store locked; try again when it has ended" +
                      std::string(kElsewhere));
    case kCorrupt:
      throw Error(ErrorKind::kEnvironment, where,
                  "the store is damaged (" + reason +
                      "); rescue what is left with `sqlite3 FILE .recover` "
                      "or move the file away to begin a new one");
    case kIoError:
      throw Error(
          ErrorKind::kEnvironment, where,
          "reading or writing the store failed (" + reason + "); check the disk" + kElsewhere);
    default:
      throw Error(ErrorKind::kEnvironment, where, "SQLite: " + reason);
  }
}

SQLite::Database Connection::opened(Store::Mode mode, const StoreOptions& options) const {
  const auto timeout = static_cast<int>(options.busy_timeout.count());
  if (mode == Store::Mode::kReadWrite) {
    if (path_.has_parent_path()) {
      std::error_code failed;
      std::filesystem::create_directories(path_.parent_path(), failed);
      if (failed) {
        throw Error(
            ErrorKind::kEnvironment, path_.parent_path().string(),
            "the folder of the store cannot be made (" + failed.message() + ")" + kElsewhere);
      }
    }
    SQLite::Database database(path_, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, timeout);
    prepare_for_writing(database, options);
    return database;
  }
  std::error_code unknown;
  if (!std::filesystem::exists(path_, unknown)) {
    if (unknown) {
      throw Error(ErrorKind::kEnvironment, path_.string(),
                  "the store cannot be opened (" + unknown.message() +
                      "); check that its folders may be entered and it may be read" + kElsewhere);
    }
    throw Error(ErrorKind::kInput, path_.string(),
                "no store here; the first verb that records a run makes it");
  }
  const auto checked = [this](SQLite::Database database) {
    {
      const SQLite::Transaction reading(database);
      if (is_new(database)) {
        throw Error(ErrorKind::kInput, path_.string(), "not a Lindos store: the file is empty; remove it, or choose another with --db");
      }
      const int version = integer(database, "PRAGMA user_version");
      if (version < schema_version()) {
        throw Error(ErrorKind::kInput, path_.string(),
                    "the store has schema version " + std::to_string(version) +
                        ", this build reads version " + std::to_string(schema_version()) +
                        "; any verb that records a run brings it up to date");
      }
    }
    return database;
  };
  try {
    return checked(SQLite::Database(path_, SQLite::OPEN_READONLY, timeout));
  } catch (const SQLite::Exception& error) {
    const bool no_shared_memory =
        error.getErrorCode() == kCannotOpen || error.getErrorCode() == kReadOnlyDatabase;
    if (!no_shared_memory || !readable_as_it_lies(path_)) throw;
    return checked(SQLite::Database(uri_of(path_) + "?immutable=1",
                                    SQLite::OPEN_READONLY | SQLite::OPEN_URI, timeout));
  }
}

bool Connection::is_new(SQLite::Database& database) const {
  const int application = integer(database, "PRAGMA application_id");
  const int version = integer(database, "PRAGMA user_version");
  if (application == kApplicationId) {
    if (version > schema_version()) {
      throw Error(ErrorKind::kInput, path_.string(),
                  "the store has schema version " + std::to_string(version) +
                      ", written by a newer Lindos; this build knows versions up to " +
                      std::to_string(schema_version()) +
                      ". Use the newer Lindos, or another store with --db");
    }
    return false;
  }
  const bool empty = application == 0 && version == 0 &&
                     integer(database, "SELECT count(*) FROM sqlite_schema") == 0;
  if (!empty) {
    throw Error(ErrorKind::kInput, path_.string(),
                "not a Lindos store: an SQLite file of another program; choose another with --db");
  }
  return true;
}

void Connection::prepare_for_writing(SQLite::Database& database,
                                     const StoreOptions& options) const {
  {
    // Before anything is changed in a file that is not ours. In one transaction: a store that another process is just
    // creating is empty or ours, never half of each.
    const SQLite::Transaction reading(database);
    static_cast<void>(is_new(database));
  }
  // The switch to WAL needs the file alone and does not wait by itself, so two first openers may
  // collide.
  const auto deadline = std::chrono::steady_clock::now() + options.busy_timeout;
  while (true) {
    try {
      database.exec("PRAGMA journal_mode = WAL");
      break;
    } catch (const SQLite::Exception& error) {
      if (error.getErrorCode() != kBusy || std::chrono::steady_clock::now() >= deadline) throw;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  // NORMAL with WAL: a power cut may take the last commits, never the consistency.
  database.exec("PRAGMA synchronous = NORMAL");
  database.exec("PRAGMA foreign_keys = ON");
  if (options.max_bytes > 0) {
    const std::int64_t pages =
        std::max<std::int64_t>(1, options.max_bytes / integer(database, "PRAGMA page_size"));
    database.exec("PRAGMA max_page_count = " + std::to_string(pages));
  }
  migrate(database);
}

void Connection::migrate(SQLite::Database& database) const {
  while (true) {
    SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
    // Read under the lock: another process may have come first.
    const int version = is_new(database) ? 0 : integer(database, "PRAGMA user_version");
    const bool current = version == schema_version();
    if (!current) {
      database.exec(migrations()[static_cast<std::size_t>(version)]);
      database.exec("PRAGMA user_version = " + std::to_string(version + 1));
    }
    // In a store that is current this write is rolled back. It is there to fail now where the place
    // is read-only, not after a long run: BEGIN IMMEDIATE alone quietly becomes a read transaction
    // then.
    database.exec("PRAGMA application_id = " + std::to_string(kApplicationId));
    if (current) return;
    transaction.commit();
  }
}

}  // namespace lindos::data
