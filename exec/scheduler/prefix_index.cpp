// SPDX-License-Identifier: Apache-2.0
#include "exec/scheduler/prefix_index.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "scenarios/error.h"

namespace lindos::scheduler {

PrefixIndex::PrefixIndex(std::int64_t block_tokens, BlockPool& pool, std::int64_t host_blocks, HashFunction hash)
    : block_tokens_(static_cast<std::size_t>(block_tokens)), pool_(pool), hash_(hash) {
  LINDOS_ASSERT(block_tokens > 0, "a block holds tokens");
  hashed_.resize(sizeof(Hash128) + block_tokens_ * sizeof(TokenId));
  for (std::int64_t b = host_blocks; b-- > 0;) host_free_.push_back(static_cast<BlockId>(pool.total() + b));
}

std::span<const TokenId> PrefixIndex::tokens_of(std::span<const TokenId> tokens, std::size_t block) const {
  return tokens.subspan(block * block_tokens_, block_tokens_);
}

// Computed once per request: a key does not change while the tokens before it stand.
const Hash128& PrefixIndex::key_of(PrefixChain& chain, std::span<const TokenId> tokens, std::size_t block) const {
  while (chain.keys.size() <= block) {
    const Hash128 parent = chain.keys.empty() ? Hash128{chain.salt, 0} : chain.keys.back();
    const std::span<const TokenId> own = tokens_of(tokens, chain.keys.size());
    std::memcpy(hashed_.data(), &parent, sizeof parent);
    std::memcpy(hashed_.data() + sizeof parent, own.data(), own.size_bytes());
    chain.keys.push_back(hash_(hashed_));
  }
  return chain.keys[block];
}

// The parent is compared by name: as long as a block is in the index so are all before it, so that equal parents have equal
// beginnings.
bool PrefixIndex::holds(BlockId block, std::uint64_t parent, std::uint64_t salt, std::span<const TokenId> tokens) const {
  const Entry& own = entry(block);
  return own.parent == parent && own.salt == salt &&
         std::ranges::equal(tokens, tokens_of(tokens_, static_cast<std::size_t>(block)));
}

PrefixMatch PrefixIndex::match(PrefixChain& chain, std::span<const TokenId> tokens, std::size_t most) const {
  LINDOS_ASSERT(most <= tokens.size() / block_tokens_, "only full blocks match");
  PrefixMatch match;
  std::uint64_t parent = kRoot;
  while (match.blocks.size() < most) {
    const std::size_t at = match.blocks.size();
    const auto found = blocks_.find(key_of(chain, tokens, at));
    if (found == blocks_.end() || !holds(found->second, parent, chain.salt, tokens_of(tokens, at))) break;
    const BlockId block = found->second;
    match.blocks.push_back(block);
    if (is_hosted(block)) ++match.on_host;
    if (entry(block).owners > 0) ++match.owned;
    parent = entry(block).name;
  }
  return match;
}

void PrefixIndex::take(PrefixChain& chain, const PrefixMatch& match, std::vector<BlockId>& table) {
  LINDOS_ASSERT(table.empty() && chain.indexed == 0, "only who owns nothing takes a match");
  const std::size_t on_device = match.blocks.size() - match.on_host;
  const auto hosted = std::span(match.blocks).subspan(on_device);
  for (const BlockId block : std::span(match.blocks).first(on_device)) own(block);
  // Before anything is evicted: that must not take their room.
  for (const BlockId block : hosted) own(block);
  table.assign(match.blocks.begin(), match.blocks.begin() + static_cast<std::ptrdiff_t>(on_device));
  const auto missing = static_cast<std::int64_t>(match.on_host) - pool_.free();
  if (missing > 0) evict(missing);
  const bool allocated = pool_.allocate(static_cast<std::int64_t>(match.on_host), table);
  LINDOS_ASSERT(allocated, "who takes a match has room for what is in host memory");
  static_cast<void>(allocated);
  for (std::size_t i = 0; i < hosted.size(); ++i) {
    const BlockId to = table[on_device + i];
    copies_.push_back({KvCopy::To::kDevice, to, static_cast<BlockId>(hosted[i] - pool_.total())});
    rename(hosted[i], to);
    host_free_.push_back(hosted[i]);
  }
  chain.indexed = table.size();
}

void PrefixIndex::publish(PrefixChain& chain, std::span<const TokenId> tokens, std::size_t full,
                          std::vector<BlockId>& table) {
  LINDOS_ASSERT(full <= table.size(), "computed blocks stand in the table");
  while (!chain.collided && chain.indexed < full) {
    const std::size_t at = chain.indexed;
    const Hash128 key = key_of(chain, tokens, at);
    const std::span<const TokenId> own_tokens = tokens_of(tokens, at);
    const std::uint64_t parent = at == 0 ? kRoot : entry(table[at - 1]).name;
    const auto found = blocks_.find(key);
    if (found == blocks_.end()) {
      add(table[at], key, chain.salt, parent, own_tokens);
    } else if (holds(found->second, parent, chain.salt, own_tokens)) {
      const BlockId same = found->second;
      own(same);
      if (is_hosted(same)) {
        // Computed again although it lies in host memory: that copy is not needed any more.
        rename(same, table[at]);
        host_free_.push_back(same);
      } else {
        pool_.release(std::exchange(table[at], same));
      }
    } else {
      chain.collided = true;
      return;
    }
    ++chain.indexed;
  }
}

void PrefixIndex::release(PrefixChain& chain, std::vector<BlockId>& table) {
  for (std::size_t at = table.size(); at-- > 0;) {
    if (at < chain.indexed) {
      disown(table[at]);
    } else {
      pool_.release(table[at]);
    }
  }
  table.clear();
  chain.indexed = 0;
  chain.collided = false;
}

void PrefixIndex::evict(std::int64_t count) {
  LINDOS_ASSERT(count <= cached(), "only blocks without an owner are evicted");
  for (std::int64_t i = 0; i < count; ++i) {
    const BlockId block = unowned_.front();
    unowned_.pop_front();
    if (const std::optional<BlockId> room = room_on_host()) {
      copies_.push_back({KvCopy::To::kHost, block, static_cast<BlockId>(*room - pool_.total())});
      rename(block, *room);
      entry(*room).place = hosted_.insert(hosted_.end(), *room);
    } else {
      blocks_.erase(entry(block).key);
    }
    pool_.release(block);
  }
}

// A block of host memory, if need be that of the block that is longest there. Nothing where there is no host memory, or all
// of it is about to move to the device.
std::optional<BlockId> PrefixIndex::room_on_host() {
  if (host_free_.empty()) {
    if (hosted_.empty()) return std::nullopt;
    const BlockId oldest = hosted_.front();
    hosted_.pop_front();
    blocks_.erase(entry(oldest).key);
    return oldest;
  }
  const BlockId room = host_free_.back();
  host_free_.pop_back();
  return room;
}

// The block lies somewhere else from now on.
void PrefixIndex::rename(BlockId from, BlockId to) {
  reach(to);
  entry(to) = entry(from);
  std::ranges::copy(tokens_of(tokens_, static_cast<std::size_t>(from)),
                    tokens_.begin() + static_cast<std::ptrdiff_t>(to) * static_cast<std::ptrdiff_t>(block_tokens_));
  blocks_[entry(to).key] = to;
}

void PrefixIndex::reach(BlockId block) {
  const auto index = static_cast<std::size_t>(block);
  if (entries_.size() > index) return;
  entries_.resize(index + 1);
  tokens_.resize((index + 1) * block_tokens_);
}

// With its first owner.
void PrefixIndex::add(BlockId block, const Hash128& key, std::uint64_t salt, std::uint64_t parent,
                      std::span<const TokenId> tokens) {
  reach(block);
  entry(block) = {key, salt, ++names_, parent, 1, unowned_.end()};
  std::ranges::copy(tokens, tokens_.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(block) * block_tokens_));
  blocks_.emplace(key, block);
}

void PrefixIndex::own(BlockId block) {
  Entry& own = entry(block);
  if (own.owners == 0) (is_hosted(block) ? hosted_ : unowned_).erase(own.place);
  ++own.owners;
}

void PrefixIndex::disown(BlockId block) {
  Entry& own = entry(block);
  LINDOS_ASSERT(own.owners > 0, "given up by who owns it");
  --own.owners;
  if (own.owners == 0) own.place = unowned_.insert(unowned_.end(), block);
}

}  // namespace lindos::scheduler
