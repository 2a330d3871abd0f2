// SPDX-License-Identifier: Apache-2.0
#include "exec/scheduler/block_pool.h"

#include <bit>
#include <limits>

#include "scenarios/error.h"

namespace lindos::scheduler {

namespace {

constexpr std::size_t kBits = 64;

std::size_t words_for(std::size_t bits) { return (bits + kBits - 1) / kBits; }
std::uint64_t bit(std::size_t i) { return std::uint64_t{1} << (i % kBits); }
std::uint64_t& word(std::vector<std::uint64_t>& words, std::size_t i) { return words[i / kBits]; }

}  // namespace

BlockPool::BlockPool(std::int64_t total)
    : total_(total),
      free_(total),
      words_(words_for(static_cast<std::size_t>(total)), 0),
      any_(words_for(words_.size()), 0) {
  LINDOS_ASSERT(total >= 0 && total <= std::numeric_limits<BlockId>::max(), "block ids are 32 bit");
  for (std::size_t block = 0; block < static_cast<std::size_t>(total); ++block) word(words_, block) |= bit(block);
  for (std::size_t w = 0; w < words_.size(); ++w) word(any_, w) |= bit(w);
}

// REQUIRES: free() > 0.
BlockId BlockPool::take_lowest() {
  std::size_t a = 0;
  while (any_[a] == 0) ++a;
  const std::size_t w = a * kBits + static_cast<std::size_t>(std::countr_zero(any_[a]));
  const std::size_t block = w * kBits + static_cast<std::size_t>(std::countr_zero(words_[w]));
  words_[w] &= ~bit(block);
  if (words_[w] == 0) any_[a] &= ~bit(w);
  --free_;
  return static_cast<BlockId>(block);
}

bool BlockPool::allocate(std::int64_t count, std::vector<BlockId>& table) {
  LINDOS_ASSERT(count >= 0, "a negative number of blocks");
  if (count > free()) return false;
  for (std::int64_t i = 0; i < count; ++i) table.push_back(take_lowest());
  return true;
}

void BlockPool::release(BlockId block) {
  LINDOS_ASSERT(block >= 0 && block < total_, "not a block of this pool");
  const auto i = static_cast<std::size_t>(block);
  LINDOS_ASSERT((word(words_, i) & bit(i)) == 0, "block released twice");
  word(words_, i) |= bit(i);
  word(any_, i / kBits) |= bit(i / kBits);
  ++free_;
}

void BlockPool::release(std::vector<BlockId>& table) {
  for (const BlockId block : table) release(block);
  table.clear();
}

}  // namespace lindos::scheduler
