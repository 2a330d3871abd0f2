// SPDX-License-Identifier: Apache-2.0
// The scheduler's own record of one request: its tokens, how far they are computed, and its KV
// blocks. Prompt and output lie in one array, so that recomputing after a preemption is the same as
// a prompt that happens to be longer: only `computed` goes back, to what is still found in the
// prefix index.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "exec/scheduler/prefix_index.h"
#include "exec/scheduler/request.h"

namespace lindos::scheduler {

struct Sequence {
  RequestId id = 0;
  int priority = 0;
  std::uint64_t arrival = 0;    // order of submission
  std::vector<TokenId> tokens;  // prompt, then output
  std::int64_t prompt_tokens = 0;
  std::int64_t max_new_tokens = 0;
  std::vector<TokenId> stop_tokens;
  std::int64_t computed = 0;          // leading positions whose KV lies in `blocks`
  std::int64_t sent_tokens = 0;       // leading positions whose KV comes along when it enters; not after a preemption
  std::int64_t in_flight_tokens = 0;  // length of the slice in flight; 0 = not in flight
  bool entered = false;               // has run before
  bool decoding = false;              // all but the last sampled token are computed
  bool cancelled = false;             // ends when its step completes
  bool ended = false;                 // to be taken off the running list
  std::vector<BlockId> blocks;
  PrefixChain chain;  // unused without prefix reuse

  [[nodiscard]] std::int64_t length() const { return static_cast<std::int64_t>(tokens.size()); }
  [[nodiscard]] std::int64_t pending() const { return length() - computed; }
  [[nodiscard]] bool in_flight() const { return in_flight_tokens > 0; }
  [[nodiscard]] std::int64_t held_blocks() const {
    return static_cast<std::int64_t>(blocks.size());
  }
  [[nodiscard]] std::span<const TokenId> output() const {
    return std::span(tokens).subspan(static_cast<std::size_t>(prompt_tokens));
  }
};

// The order in which requests are served: higher priority first, then earlier arrival.
[[nodiscard]] inline bool ranks_before(const Sequence* a, const Sequence* b) {
  if (a->priority != b->priority) return a->priority > b->priority;
  return a->arrival < b->arrival;
}

}  // namespace lindos::scheduler
