// SPDX-License-Identifier: Apache-2.0
// Fixed pool of KV blocks. Conserves: used + free = total after every call. Lowest free id first, so that
// the same events give the same ids.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "exec/scheduler/request.h"

namespace lindos::scheduler {

class BlockPool {
 public:
  explicit BlockPool(std::int64_t total);
  [[nodiscard]] std::int64_t total() const { return total_; }
  [[nodiscard]] std::int64_t free() const { return static_cast<std::int64_t>(free_.size()); }
  [[nodiscard]] std::int64_t used() const { return total_ - free(); }
  // All or nothing.
  [[nodiscard]] std::optional<std::vector<BlockId>> allocate(std::int64_t count);
  void release(const std::vector<BlockId>& blocks);

 private:
  std::int64_t total_;
  std::vector<BlockId> free_;       // min-heap
  std::vector<bool> in_use_;
};

}  // namespace lindos::scheduler
