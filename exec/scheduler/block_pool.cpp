// SPDX-License-Identifier: Apache-2.0
#include "exec/scheduler/block_pool.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>

#include "scenarios/error.h"

namespace lindos::scheduler {

BlockPool::BlockPool(std::int64_t total) : total_(total) {
  LINDOS_ASSERT(total >= 0 && total <= std::numeric_limits<BlockId>::max(), "block ids are 32 bit");
  // Ascending ids already satisfy the min-heap property.
  free_.resize(static_cast<std::size_t>(total));
  std::iota(free_.begin(), free_.end(), BlockId{0});
  in_use_.assign(static_cast<std::size_t>(total), false);
}

bool BlockPool::allocate(std::int64_t count, std::vector<BlockId>& table) {
  LINDOS_ASSERT(count >= 0, "a negative number of blocks");
  if (count > free()) return false;
  for (std::int64_t i = 0; i < count; ++i) {
    std::pop_heap(free_.begin(), free_.end(), std::greater<>());
    const BlockId block = free_.back();
    free_.pop_back();
    in_use_[static_cast<std::size_t>(block)] = true;
    table.push_back(block);
  }
  return true;
}

void BlockPool::release(BlockId block) {
  LINDOS_ASSERT(block >= 0 && block < total_, "not a block of this pool");
  LINDOS_ASSERT(in_use_[static_cast<std::size_t>(block)], "block released twice");
  in_use_[static_cast<std::size_t>(block)] = false;
  free_.push_back(block);
  std::push_heap(free_.begin(), free_.end(), std::greater<>());
}

void BlockPool::release(std::vector<BlockId>& table) {
  for (const BlockId block : table) release(block);
  table.clear();
}

}  // namespace lindos::scheduler
