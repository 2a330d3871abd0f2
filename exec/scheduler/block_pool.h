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
  [[nodiscard]] std::int64_t free() const { return free_; }
  [[nodiscard]] std::int64_t used() const { return total_ - free_; }
  // Appends `count` blocks to `table` and returns true, or leaves both untouched and returns false.
  [[nodiscard]] bool allocate(std::int64_t count, std::vector<BlockId>& table);
  // Takes a block back. REQUIRES: it was allocated here.
  void release(BlockId block);
  // Takes every block of `table` back and empties it.
  void release(std::vector<BlockId>& table);

 private:
  [[nodiscard]] BlockId take_lowest();
  std::int64_t total_;
  std::int64_t free_;
  // A bit for each free block, and one for each word of those that has any: the lowest is found in few looks.
  std::vector<std::uint64_t> words_;
  std::vector<std::uint64_t> any_;
};

}  // namespace lindos::scheduler
