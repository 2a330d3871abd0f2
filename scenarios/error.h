// SPDX-License-Identifier: Apache-2.0
// The one exception type of the project, for "the world is wrong": bad input, missing file, failing
// device. Programming mistakes use LINDOS_ASSERT; legitimate answers ("no plan fits") are values.
// Caught in three places only: cli main, the GUI's task runner, the rank loop.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace lindos {

// Closed list; the numeric value is the exit code of `lindos`.
enum class ErrorKind : int {
  kInput = 1,        // a file or value that the user can mend
  kUsage = 2,        // the command line itself
  kInfeasible = 3,   // no plan fits
  kEnvironment = 4,  // disk full, store read-only, device or library failed
  kCancelled = 130,  // Ctrl-C
};

class Error : public std::runtime_error {
 public:
  // `where` names the place as file:line:column, file: /json/pointer, or file; may be empty.
  Error(ErrorKind kind, std::string where, const std::string& message)
      : std::runtime_error(where.empty() ? message : where + ": " + message),
        kind_(kind),
        where_(std::move(where)) {}

  [[nodiscard]] ErrorKind kind() const { return kind_; }
  [[nodiscard]] const std::string& where() const { return where_; }
  [[nodiscard]] int exit_code() const { return static_cast<int>(kind_); }

 private:
  ErrorKind kind_;
  std::string where_;
};

[[noreturn]] void assertion_failed(const char* condition, const char* why, const char* file, int line);

}  // namespace lindos

#ifdef LINDOS_ASSERTS
#define LINDOS_ASSERT(cond, why) \
  ((cond) ? static_cast<void>(0) : ::lindos::assertion_failed(#cond, why, __FILE__, __LINE__))
#else
#define LINDOS_ASSERT(cond, why) static_cast<void>(sizeof(!(cond)))
#endif
