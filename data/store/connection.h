// SPDX-License-Identifier: Apache-2.0
// One connection to a store file: opening, recognising, migrating, and the translation of SQLite's
// complaints into ours. Internal to data/store. Threading: one thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <type_traits>

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Exception.h>

#include "data/store/store.h"

namespace lindos::data {

class Connection {
 public:
  Connection(std::filesystem::path path, Store::Mode mode, const StoreOptions& options);

  // Runs `work(database)` and throws lindos::Error for whatever SQLite complains about.
  template <class Work>
  auto run(const Work& work) -> std::invoke_result_t<Work, SQLite::Database&> {
    try {
      return work(database_);
    } catch (const SQLite::Exception& error) {
      translate(error);
    }
  }

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  [[noreturn]] void translate(const SQLite::Exception& error) const;
  [[nodiscard]] SQLite::Database opened(Store::Mode mode, const StoreOptions& options) const;
  // Throws for a file that is not ours or of a newer schema; true for an empty file.
  [[nodiscard]] bool is_new(SQLite::Database& database) const;
  void prepare_for_writing(SQLite::Database& database, const StoreOptions& options) const;
  void migrate(SQLite::Database& database) const;

  std::filesystem::path path_;
  SQLite::Database database_;
};

}  // namespace lindos::data
