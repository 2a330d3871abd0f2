// SPDX-License-Identifier: Apache-2.0
// Words of the scheduler: requests, steps, results. Tokens and blocks only: no clock, no device, no model.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace lindos::scheduler {

using RequestId = std::uint64_t;
using TokenId = std::int32_t;
using BlockId = std::int32_t;

struct Request {
  RequestId id = 0;
  std::vector<TokenId> prompt;      // never empty
  std::int64_t max_new_tokens = 1;
  std::vector<TokenId> stop_tokens; // generation ends when one of them is sampled (it is kept in the output)
  int priority = 0;                 // higher first; FIFO within one priority
  std::int64_t kv_tokens = 0;       // leading tokens of the prompt whose KV comes along: all but the last, or 0
  std::uint64_t cache_salt = 0;     // requests of another salt never share KV blocks with it
};

// Consecutive positions of one request that run in this step. The spans point into the scheduler's own
// tables, so that planning copies no page table; they stay valid and unchanged until complete() of the step
// that holds the slice (submit, cancel and plan do not touch a request in flight). Who needs them longer copies.
struct StepSlice {
  RequestId request = 0;
  std::int64_t first_position = 0;  // = cached context before the slice, its own or another request's
  std::span<const TokenId> tokens;  // inputs; for a decode the last sampled token
  bool wants_logits = false;        // the last chunk of a prompt and every decode
  bool is_decode = false;           // one token that was sampled by an earlier step
  std::span<const BlockId> blocks;  // page table covering [0, first_position + tokens.size())
};

// The KV of one block on its way between the device's pool and host memory.
struct KvCopy {
  enum class To : std::int32_t { kHost, kDevice };
  To to = To::kHost;
  BlockId device = 0;               // block of the pool
  BlockId host = 0;                 // block of host memory
  bool operator==(const KvCopy&) const = default;
};

struct Step {
  std::uint64_t id = 0;             // 1, 2, 3, …
  // Before the slices run, one after the other: a later one may read what an earlier one wrote, or overwrite what it read.
  std::vector<KvCopy> copies;
  std::vector<StepSlice> slices;    // decodes first, then prefill chunks
  std::vector<RequestId> preempted; // put back to waiting while this step was planned; they hold no blocks
  [[nodiscard]] bool empty() const { return slices.empty(); }
  [[nodiscard]] std::int64_t tokens() const {
    std::int64_t n = 0;
    for (const StepSlice& s : slices) n += static_cast<std::int64_t>(s.tokens.size());
    return n;
  }
};

// Steps ahead that differ by nothing but one more position per request: each decodes all running requests by one
// token; nobody enters, is preempted or ends before the last of them. The spans live until the scheduler is called
// again.
struct PlainDecodes {
  std::int64_t steps = 0;                  // 0: the next step is another
  std::span<const RequestId> requests;
  std::span<const std::int64_t> contexts;  // cached positions of each before the first step
};

struct StepResult {
  std::uint64_t step = 0;
  // One per slice with wants_logits, in slice order.
  std::vector<TokenId> sampled;
};

enum class FinishReason { kLength, kStop, kCancelled };

struct Finished {
  RequestId request = 0;
  FinishReason reason = FinishReason::kLength;
  std::vector<TokenId> output;
};

struct Queued {
  std::size_t position = 0;         // requests ahead of it
};
struct Rejected {
  std::string reason;               // "needs 70 KV blocks, the pool has 64"
  std::int64_t needed = 0;
  std::int64_t available = 0;
};
using Admission = std::variant<Queued, Rejected>;

}  // namespace lindos::scheduler
