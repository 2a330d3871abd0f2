// SPDX-License-Identifier: Apache-2.0
#include "data/llama_bench.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>

#include <SQLiteCpp/SQLiteCpp.h>
#include <sqlite3.h>

#include "scenarios/error.h"

namespace lindos::data {

namespace {

constexpr int kMostRows = 1'000'000;

// What CREATE TABLE test and INSERT INTO test need, and no more: no other table, file, pragma,
// function or recursion.
// `refused` is a bool that says whether a statement wanted more.
int only_the_table(void* refused, int action, const char* first, const char*, const char*,
                   const char*) {
  const auto is = [first](const char* name) {
    return first != nullptr && std::strcmp(first, name) == 0;
  };
  bool allowed = false;
  switch (action) {
    case SQLITE_CREATE_TABLE:
      allowed = is("test");
      break;
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
      allowed = is("test") || is("sqlite_master");
      break;
    case SQLITE_READ:
      allowed = is("sqlite_master");
      break;
    case SQLITE_SELECT:  // of VALUES with several rows
    case SQLITE_TRANSACTION:
      allowed = true;
      break;
    default:
      break;
  }
  if (!allowed) *static_cast<bool*>(refused) = true;
  return allowed ? SQLITE_OK : SQLITE_DENY;
}

// Interrupts a statement that works longer than its text can need, such as a product of long lists
// of values.
class WorkLimit {
 public:
  WorkLimit(sqlite3* database, std::size_t bytes)
      : left_(kLeast + static_cast<std::int64_t>(bytes) * kPerByte) {
    sqlite3_progress_handler(database, kStride, spend, this);
  }

 private:
  static constexpr int kStride = 1000;  // instructions of SQLite's machine
  static constexpr std::int64_t kLeast = 1'000'000;
  static constexpr std::int64_t kPerByte = 100;  // a value takes about two instructions
  static int spend(void* self) {
    std::int64_t& left = static_cast<WorkLimit*>(self)->left_;
    left -= kStride;
    return left < 0 ? 1 : 0;
  }
  std::int64_t left_;
};

std::string place(std::string_view text, std::size_t offset, const std::string& where) {
  const std::string_view before = text.substr(0, std::min(offset, text.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t start =
      before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
  return where + ":" + std::to_string(line) + ":" + std::to_string(before.size() - start + 1);
}

void run_statements(sqlite3* database, const bool& refused, std::string_view sql,
                    const std::string& where) {
  const char* const begin = sql.data();
  const char* at = begin;
  const char* const end = begin + sql.size();
  while (at != end) {
    sqlite3_stmt* statement = nullptr;
    const char* rest = end;
    int status = sqlite3_prepare_v2(database, at, static_cast<int>(end - at), &statement, &rest);
    if (status == SQLITE_OK && statement != nullptr) {
      do {
        status = sqlite3_step(statement);
      } while (status == SQLITE_ROW);
    }
    const int offset = refused ? 0 : std::max(0, sqlite3_error_offset(database));
    std::string message = sqlite3_errmsg(database);
    sqlite3_finalize(statement);
    if (status != SQLITE_OK && status != SQLITE_DONE) {
      if (refused)
        message =
            "only CREATE TABLE test and INSERT INTO test, as llama-bench -o sql writes, are taken";
      // Blank lines before a statement belong to it.
      const char* shown = at;
      while (offset == 0 && shown != end && std::strchr(" \t\r\n", *shown) != nullptr) ++shown;
      throw Error(
          ErrorKind::kInput,
          place(sql, static_cast<std::size_t>(shown - begin) + static_cast<std::size_t>(offset),
                where),
          message);
    }
    if (rest == at)
      throw Error(ErrorKind::kInput, place(sql, static_cast<std::size_t>(at - begin), where),
                  "a zero byte is no SQL");
    at = rest;
  }
}

std::set<std::string> columns_of(SQLite::Database& database) {
  std::set<std::string> names;
  SQLite::Statement query(database, "SELECT name FROM pragma_table_info('test')");
  while (query.executeStep()) names.insert(query.getColumn(0).getString());
  return names;
}

LlamaBenchRow row_of(SQLite::Statement& query, int number, const std::string& where) {
  constexpr double kNanosecond = 1e-9;
  const std::string at = where + ": row " + std::to_string(number);
  const auto count = [&](const char* column) {
    const double value = query.getColumn(column).getDouble();
    if (!(value >= 0 && value <= 1e9 && value == std::floor(value))) {
      throw Error(ErrorKind::kInput, at,
                  std::string(column) + ": expected a number of tokens, saw \"" +
                      query.getColumn(column).getString() + "\"");
    }
    return static_cast<std::int64_t>(value);
  };
  const auto seconds = [&](const char* column, double least) {
    const double value = query.getColumn(column).getDouble() * kNanosecond;
    if (!(value >= least && value <= 1e6)) {
      throw Error(ErrorKind::kInput, at,
                  std::string(column) + ": expected a time in nanoseconds, saw \"" +
                      query.getColumn(column).getString() + "\"");
    }
    return value;
  };
  LlamaBenchRow row;
  row.build = query.getColumn("build_commit").getString() + " (" +
              query.getColumn("build_number").getString() + ")";
  row.model = query.getColumn("model_filename").getString();
  const std::string gpu = query.getColumn("gpu_info").getString();
  row.hardware = gpu.empty() ? query.getColumn("cpu_info").getString() : gpu;
  row.started_utc = query.getColumn("test_time").getString();
  row.prompt = count("n_prompt");
  row.generated = count("n_gen");
  row.depth = count("n_depth");
  row.seconds = seconds("avg_ns", kNanosecond);
  row.spread = seconds("stddev_ns", 0.0);
  return row;
}

}  // namespace

std::vector<LlamaBenchRow> read_llama_bench(std::string_view sql, const std::string& where) {
  SQLite::Database database(":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  sqlite3* const handle = database.getHandle();
  if (sql.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    throw Error(ErrorKind::kInput, where, "is larger than 2 GiB; no benchmark writes so much");
  }
  bool refused = false;
  sqlite3_set_authorizer(handle, only_the_table, &refused);
  {
    const WorkLimit limit(handle, sql.size());
    run_statements(handle, refused, sql, where);
    sqlite3_progress_handler(handle, 0, nullptr, nullptr);
  }
  sqlite3_set_authorizer(handle, nullptr, nullptr);
  const std::set<std::string> columns = columns_of(database);
  if (columns.empty())
    throw Error(ErrorKind::kInput, where,
                "has no table \"test\"; expected the output of llama-bench -o sql");
  for (const char* column :
       {"build_commit", "build_number", "cpu_info", "gpu_info", "model_filename", "test_time",
        "n_prompt", "n_gen", "avg_ns", "stddev_ns"}) {
    if (columns.count(column) == 0) {
      throw Error(ErrorKind::kInput, where,
                  std::string("table \"test\" has no column \"") + column + "\"");
    }
  }
  const std::string depth = columns.count("n_depth") != 0 ? "n_depth" : "0 AS n_depth";
  SQLite::Statement query(
      database,
      "SELECT build_commit, build_number, cpu_info, gpu_info, model_filename, test_time, n_prompt, "
      "n_gen, avg_ns, stddev_ns, " +
          depth + " FROM test ORDER BY rowid");
  std::vector<LlamaBenchRow> rows;
  while (query.executeStep()) {
    if (rows.size() == kMostRows)
      throw Error(ErrorKind::kInput, where, "has more than a million rows");
    rows.push_back(row_of(query, static_cast<int>(rows.size()) + 1, where));
  }
  if (rows.empty()) throw Error(ErrorKind::kInput, where, "holds no measurement");
  return rows;
}

}  // namespace lindos::data
