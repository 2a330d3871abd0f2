// SPDX-License-Identifier: Apache-2.0
#include "sim/virtual_prompt.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <utility>

namespace lindos::sim {

namespace {

// Odd tokens for ids of beginnings, even ones for what is a request's own.
scheduler::TokenId token_of(std::uint64_t id, bool shared) {
  constexpr std::uint64_t kIds = std::uint64_t{1} << 30U;
  // 2 × (2^30 - 1) + 1 is the largest token; an own one of the last id would not fit and is 2, as that of id 0.
  return static_cast<scheduler::TokenId>(shared ? 2 * (id % kIds) + 1 : 2 * (id % (kIds - 1)) + 2);
}

}  // namespace

std::vector<scheduler::TokenId> virtual_prompt(const RequestSpec& request) {
  std::vector<scheduler::TokenId> tokens(static_cast<std::size_t>(request.prompt_tokens), token_of(request.id, false));
  if (!request.beginning) return tokens;
  const PromptBeginning& beginning = *request.beginning;
  const std::int64_t in_common = beginning.of(request.prompt_tokens);
  for (std::int64_t at = 0; at < in_common; at += beginning.tokens_per_id) {
    const std::uint64_t id = beginning.ids[static_cast<std::size_t>(at / beginning.tokens_per_id)];
    std::fill(tokens.begin() + at, tokens.begin() + std::min(at + beginning.tokens_per_id, in_common),
              token_of(id, true));
  }
  return tokens;
}

std::int64_t reusable_tokens(const std::vector<RequestSpec>& requests, std::int64_t block_tokens) {
  // Beginnings as a tree: a node is an id after another node, and knows how many of its tokens some prompt has had.
  struct Node {
    std::size_t number = 0;
    std::int64_t tokens = 0;
  };
  std::map<std::pair<std::size_t, std::uint64_t>, Node> nodes;
  std::int64_t reusable = 0;
  for (const RequestSpec& request : requests) {
    if (!request.beginning) continue;
    const PromptBeginning& beginning = *request.beginning;
    const std::int64_t in_common = beginning.of(request.prompt_tokens);
    std::int64_t known = 0;
    std::size_t parent = 0;
    for (std::int64_t at = 0; at < in_common; at += beginning.tokens_per_id) {
      const std::int64_t own = std::min(beginning.tokens_per_id, in_common - at);
      Node& node = nodes[{parent, beginning.ids[static_cast<std::size_t>(at / beginning.tokens_per_id)]}];
      if (node.number == 0) node.number = nodes.size();
      if (known == at) known += std::min(own, node.tokens);
      node.tokens = std::max(node.tokens, own);
      parent = node.number;
    }
    reusable += std::min(known, request.prompt_tokens - 1) / block_tokens * block_tokens;
  }
  return reusable;
}

}  // namespace lindos::sim
