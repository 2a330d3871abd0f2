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
//
// With host memory an evicted block moves there instead of being forgotten, and back when a prompt begins with it; what is
// longest in host memory makes room. Blocks move leaf before parent as well, so that of a chain the first part is on the
// device and the rest in host memory, never the other way round. The moves are copies that the next step does first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
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

// Leading blocks of a request that the index holds: first those that have an owner, then others on the device, then those
// in host memory.
struct PrefixMatch {
  std::vector<BlockId> blocks;  // as the index counts them: blocks of the pool, then blocks of host memory
  std::size_t owned = 0;
  std::size_t on_host = 0;
};

class PrefixIndex {
 public:
  using HashFunction = Hash128 (*)(std::span<const std::byte>);

  // Borrows `pool`, from which all blocks named here are allocated. REQUIRES: block_tokens > 0, host_blocks >= 0.
  PrefixIndex(std::int64_t block_tokens, BlockPool& pool, std::int64_t host_blocks, HashFunction hash = &hash_of_bytes);

  // Blocks on the device without an owner: they can be evicted at any time.
  [[nodiscard]] std::int64_t cached() const { return static_cast<std::int64_t>(unowned_.size()); }
  // Blocks in host memory.
  [[nodiscard]] std::int64_t on_host() const { return static_cast<std::int64_t>(hosted_.size()); }

  // The longest match of at most `most` full blocks of `tokens`.
  [[nodiscard]] PrefixMatch match(PrefixChain& chain, std::span<const TokenId> tokens, std::size_t most) const;
  // Makes the request an owner of a match found since the last change of the index; what of it is in host memory moves to
  // the device. REQUIRES: `table` is empty; as many blocks as that are free or cached beside the match itself.
  void take(PrefixChain& chain, const PrefixMatch& match, std::vector<BlockId>& table);
  // Enters the first `full` blocks of `table`, whose KV is computed. One that the index already holds is freed, and the
  // index's stands in `table` in its place.
  void publish(PrefixChain& chain, std::span<const TokenId> tokens, std::size_t full, std::vector<BlockId>& table);
  // The request gives up all blocks of `table`: those in the index wait for the next who begins alike, the others are
  // free.
  void release(PrefixChain& chain, std::vector<BlockId>& table);
  // Frees the `count` blocks that are longest without an owner. REQUIRES: count <= cached().
  void evict(std::int64_t count);
  // The copies since the last call, in the order in which they have to be done.
  [[nodiscard]] std::vector<KvCopy> take_copies() { return std::exchange(copies_, {}); }

 private:
  struct Entry {
    Hash128 key;
    std::uint64_t salt = 0;
    std::uint64_t name = 0;    // never given twice: stays when the block moves
    std::uint64_t parent = 0;  // name of the block before; kRoot for the first one
    std::int32_t owners = 0;
    std::list<BlockId>::iterator place;  // in unowned_ or hosted_; valid where owners == 0
  };
  struct KeyHash {
    std::size_t operator()(const Hash128& key) const { return static_cast<std::size_t>(key.low); }
  };
  static constexpr std::uint64_t kRoot = 0;

  [[nodiscard]] const Hash128& key_of(PrefixChain& chain, std::span<const TokenId> tokens, std::size_t block) const;
  [[nodiscard]] std::span<const TokenId> tokens_of(std::span<const TokenId> tokens, std::size_t block) const;
  [[nodiscard]] bool holds(BlockId block, std::uint64_t parent, std::uint64_t salt, std::span<const TokenId> tokens) const;
  void add(BlockId block, const Hash128& key, std::uint64_t salt, std::uint64_t parent, std::span<const TokenId> tokens);
  void own(BlockId block);
  void disown(BlockId block);
  void reach(BlockId block);
  void rename(BlockId from, BlockId to);
  [[nodiscard]] bool is_hosted(BlockId block) const { return block >= pool_.total(); }
  [[nodiscard]] std::optional<BlockId> room_on_host();
  [[nodiscard]] Entry& entry(BlockId block) { return entries_[static_cast<std::size_t>(block)]; }
  [[nodiscard]] const Entry& entry(BlockId block) const { return entries_[static_cast<std::size_t>(block)]; }

  std::size_t block_tokens_;
  BlockPool& pool_;
  HashFunction hash_;
  std::unordered_map<Hash128, BlockId, KeyHash> blocks_;
  std::vector<Entry> entries_;   // by block; of blocks in the index
  std::vector<TokenId> tokens_;  // [block][block_tokens]
  std::list<BlockId> unowned_;   // on the device, longest without an owner first
  std::list<BlockId> hosted_;    // in host memory, longest there first
  std::vector<BlockId> host_free_;
  std::vector<KvCopy> copies_;
  std::uint64_t names_ = kRoot;  // given so far
  mutable std::vector<std::byte> hashed_;  // scratch: parent's key, tokens
};

}  // namespace lindos::scheduler
