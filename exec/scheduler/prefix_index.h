// SPDX-License-Identifier: Apache-2.0
// Which KV blocks hold which tokens, so that a prompt that begins as an earlier one takes its blocks instead of
// computing them again (automatic prefix caching). Full blocks only: nobody writes into one, so that it may have
// several owners.
//
// A block's key is a hash over its parent's key and its token ids, from a root that is the salt's; it stands for all
// tokens from the beginning. On a hit the parent and the token ids are compared, so that a collision costs time, not
// truth.
//
// Who owns a block owns all blocks before it, and gives up the last one first. So blocks without an owner, in the order
// in which they were given up, stand leaf before parent: evicting the first one never leaves a block without its parent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <span>
#include <unordered_map>
#include <vector>

#include "exec/scheduler/block_pool.h"
#include "exec/scheduler/request.h"
#include "scenarios/hash128.h"

namespace lindos::scheduler {

// How one request stands with the index.
struct PrefixChain {
  std::uint64_t salt = 0;
  std::vector<Hash128> keys;  // of its leading full blocks, as many as were asked for so far
  std::size_t indexed = 0;    // leading blocks of its table that are in the index, with it as an owner
  bool collided = false;      // the key after those is taken by other tokens: its later blocks stay its own
};

// Leading blocks of a request that the index holds.
struct PrefixMatch {
  std::vector<BlockId> blocks;
  std::size_t owned = 0;      // of them, those that have an owner: always the first ones
};

class PrefixIndex {
 public:
  using HashFunction = Hash128 (*)(std::span<const std::byte>);

  // Borrows `pool`, from which all blocks named here are allocated. REQUIRES: block_tokens > 0.
  PrefixIndex(std::int64_t block_tokens, BlockPool& pool, HashFunction hash = &hash_of_bytes);

  // Blocks without an owner: they can be evicted at any time.
  [[nodiscard]] std::int64_t cached() const { return static_cast<std::int64_t>(unowned_.size()); }

  // The longest match of at most `most` full blocks of `tokens`.
  [[nodiscard]] PrefixMatch match(PrefixChain& chain, std::span<const TokenId> tokens, std::size_t most) const;
  // Makes the request an owner of a match found since the last change of the index. REQUIRES: `table` is empty.
  void take(PrefixChain& chain, const PrefixMatch& match, std::vector<BlockId>& table);
  // Enters the first `full` blocks of `table`, whose KV is computed. One that the index already holds is freed, and the
  // index's stands in `table` in its place.
  void publish(PrefixChain& chain, std::span<const TokenId> tokens, std::size_t full, std::vector<BlockId>& table);
  // The request gives up all blocks of `table`: those in the index wait for the next who begins alike, the others are
  // free.
  void release(PrefixChain& chain, std::vector<BlockId>& table);
  // Frees the `count` blocks that are longest without an owner. REQUIRES: count <= cached().
  void evict(std::int64_t count);

 private:
  struct Entry {
    Hash128 key;
    std::uint64_t salt = 0;
    BlockId parent = 0;  // kRoot for the first block
    std::int32_t owners = 0;
    std::list<BlockId>::iterator place;  // in unowned_; valid where owners == 0
  };
  struct KeyHash {
    std::size_t operator()(const Hash128& key) const { return static_cast<std::size_t>(key.low); }
  };
  static constexpr BlockId kRoot = -1;

  [[nodiscard]] const Hash128& key_of(PrefixChain& chain, std::span<const TokenId> tokens, std::size_t block) const;
  [[nodiscard]] std::span<const TokenId> tokens_of(std::span<const TokenId> tokens, std::size_t block) const;
  [[nodiscard]] bool holds(BlockId block, BlockId parent, std::uint64_t salt, std::span<const TokenId> tokens) const;
  void add(BlockId block, const Hash128& key, std::uint64_t salt, BlockId parent, std::span<const TokenId> tokens);
  void own(BlockId block);
  void disown(BlockId block);

  std::size_t block_tokens_;
  BlockPool& pool_;
  HashFunction hash_;
  std::unordered_map<Hash128, BlockId, KeyHash> blocks_;
  std::vector<Entry> entries_;   // by block id; of blocks in the index
  std::vector<TokenId> tokens_;  // [block][block_tokens]
  std::list<BlockId> unowned_;   // longest without an owner first
  mutable std::vector<std::byte> hashed_;  // scratch: parent's key, tokens
};

}  // namespace lindos::scheduler
