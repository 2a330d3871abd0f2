// SPDX-License-Identifier: Apache-2.0
#include "exec/scheduler/prefix_index.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "scenarios/error.h"

namespace lindos::scheduler {

PrefixIndex::PrefixIndex(std::int64_t block_tokens, BlockPool& pool, HashFunction hash)
    : block_tokens_(static_cast<std::size_t>(block_tokens)), pool_(pool), hash_(hash) {
  LINDOS_ASSERT(block_tokens > 0, "a block holds tokens");
  hashed_.resize(sizeof(Hash128) + block_tokens_ * sizeof(TokenId));
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

// The parent is compared as a block: as long as a block is in the index so are all before it, so that equal parents
// have equal beginnings.
bool PrefixIndex::holds(BlockId block, BlockId parent, std::uint64_t salt, std::span<const TokenId> tokens) const {
  const auto index = static_cast<std::size_t>(block);
  const Entry& entry = entries_[index];
  return entry.parent == parent && entry.salt == salt &&
         std::ranges::equal(tokens, tokens_of(tokens_, index));
}

PrefixMatch PrefixIndex::match(PrefixChain& chain, std::span<const TokenId> tokens, std::size_t most) const {
  LINDOS_ASSERT(most <= tokens.size() / block_tokens_, "only full blocks match");
  PrefixMatch match;
  BlockId parent = kRoot;
  while (match.blocks.size() < most) {
    const std::size_t at = match.blocks.size();
    const auto found = blocks_.find(key_of(chain, tokens, at));
    if (found == blocks_.end() || !holds(found->second, parent, chain.salt, tokens_of(tokens, at))) break;
    parent = found->second;
    match.blocks.push_back(parent);
    if (entries_[static_cast<std::size_t>(parent)].owners > 0) ++match.owned;
  }
  return match;
}

void PrefixIndex::take(PrefixChain& chain, const PrefixMatch& match, std::vector<BlockId>& table) {
  LINDOS_ASSERT(table.empty() && chain.indexed == 0, "only who owns nothing takes a match");
  for (const BlockId block : match.blocks) own(block);
  table = match.blocks;
  chain.indexed = table.size();
}

void PrefixIndex::publish(PrefixChain& chain, std::span<const TokenId> tokens, std::size_t full,
                          std::vector<BlockId>& table) {
  LINDOS_ASSERT(full <= table.size(), "computed blocks stand in the table");
  while (!chain.collided && chain.indexed < full) {
    const std::size_t at = chain.indexed;
    const Hash128 key = key_of(chain, tokens, at);
    const std::span<const TokenId> own_tokens = tokens_of(tokens, at);
    const BlockId parent = at == 0 ? kRoot : table[at - 1];
    const auto found = blocks_.find(key);
    if (found == blocks_.end()) {
      add(table[at], key, chain.salt, parent, own_tokens);
    } else if (holds(found->second, parent, chain.salt, own_tokens)) {
      pool_.release(std::exchange(table[at], found->second));
      own(table[at]);
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
    blocks_.erase(entries_[static_cast<std::size_t>(block)].key);
    pool_.release(block);
  }
}

// With its first owner.
void PrefixIndex::add(BlockId block, const Hash128& key, std::uint64_t salt, BlockId parent,
                      std::span<const TokenId> tokens) {
  const auto index = static_cast<std::size_t>(block);
  if (entries_.size() <= index) {
    entries_.resize(index + 1);
    tokens_.resize((index + 1) * block_tokens_);
  }
  entries_[index] = {key, salt, parent, 1, unowned_.end()};
  std::ranges::copy(tokens, tokens_.begin() + static_cast<std::ptrdiff_t>(index * block_tokens_));
  blocks_.emplace(key, block);
}

void PrefixIndex::own(BlockId block) {
  Entry& entry = entries_[static_cast<std::size_t>(block)];
  if (entry.owners == 0) unowned_.erase(entry.place);
  ++entry.owners;
}

void PrefixIndex::disown(BlockId block) {
  Entry& entry = entries_[static_cast<std::size_t>(block)];
  LINDOS_ASSERT(entry.owners > 0, "given up by who owns it");
  --entry.owners;
  if (entry.owners == 0) entry.place = unowned_.insert(unowned_.end(), block);
}

}  // namespace lindos::scheduler
