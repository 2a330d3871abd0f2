// SPDX-License-Identifier: Apache-2.0
// Fixed pool of KV blocks. Conserves: used + free = total after every call. Lowest free id first, so that
// the same events give the same ids.
#pragma once

#include <cstdint>
#include <vector>

#include "exec/scheduler/request.h"

namespace lindos::scheduler {

class BlockPool {
 public:
  explicit BlockPool(std::int64_t total);
  [[nodiscard]] std::int64_t total() const { return total_; }
  [[nodiscard]] std::int64_t free() const { return static_cast<std::int64_t>(free_.size()); }
  [[nodiscard]] std::int64_t used() const { return total_ - free(); }
  // Appends `count` blocks to `table` and returns true, or leaves both untouched and returns false.
  [[nodiscard]] bool allocate(std::int64_t count, std::vector<BlockId>& table);
  // Takes a block back. REQUIRES: it was allocated here.
  void release(BlockId block);
  // Takes every block of `table` back and empties it.
  void release(std::vector<BlockId>& table);

 private:
  std::int64_t total_;
  std::vector<BlockId> free_;       // min-heap
  std::vector<bool> in_use_;        // by block id; catches a double release
};

}  // namespace lindos::scheduler
