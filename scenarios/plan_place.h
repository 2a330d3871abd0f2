// SPDX-License-Identifier: Apache-2.0
// Internal to scenarios/: where in a plan a validator is.
//
//   const Place group(where, "/groups/0");
//   group.at("replicas").require(replicas >= 1, "expected at least 1");
#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "scenarios/error.h"

namespace lindos {

// Knows the JSON pointer of what is being looked at, and complains there.
class Place {
 public:
  Place(std::string where, std::string pointer)
      : where_(std::move(where)), pointer_(std::move(pointer)) {}
  [[nodiscard]] Place at(const std::string& key) const { return {where_, pointer_ + "/" + key}; }
  [[nodiscard]] Place at(std::size_t index) const { return at(std::to_string(index)); }
  [[noreturn]] void fail(const std::string& message) const {
    throw Error(ErrorKind::kInput, where_.empty() ? pointer_ : where_ + ": " + pointer_, message);
  }
  void require(bool holds, const std::string& message) const {
    if (!holds) fail(message);
  }

 private:
  std::string where_;
  std::string pointer_;
};

}  // namespace lindos
