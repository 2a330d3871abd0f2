// SPDX-License-Identifier: Apache-2.0
// What a search left out, counted under the reason; none is dropped silently. Plain value.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

namespace lindos::sim {

struct PrunedReason {
  std::int64_t count = 0;
  std::string example;  // the first one, with its arithmetic; may be empty
};

class Pruned {
 public:
  void add(const std::string& reason, std::int64_t count, const std::string& example = {}) {
    if (count <= 0) return;
    PrunedReason& entry = reasons_[reason];
    entry.count += count;
    if (entry.example.empty()) entry.example = example;
  }
  void add(const Pruned& other) {
    for (const auto& [reason, entry] : other.reasons_) add(reason, entry.count, entry.example);
  }
  [[nodiscard]] const std::map<std::string, PrunedReason>& reasons() const { return reasons_; }
  [[nodiscard]] std::int64_t total() const {
    std::int64_t sum = 0;
    for (const auto& [reason, entry] : reasons_) sum += entry.count;
    return sum;
  }

 private:
  std::map<std::string, PrunedReason> reasons_;
};

}  // namespace lindos::sim
