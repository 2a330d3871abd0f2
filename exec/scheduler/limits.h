// SPDX-License-Identifier: Apache-2.0
// What the scheduler may use. Taken from the plan's EngineLimits and the KV capacity rule.
#pragma once

#include <cstdint>

namespace lindos::scheduler {

enum class Policy {
  kDecodeFirst,    // running decodes, then begun prompts, then waiting ones: bounds inter-token latency
  kPrefillFirst,   // waiting and begun prompts before decodes: raises throughput
};

struct Limits {
  std::int64_t max_batched_tokens = 2048;  // budget of one step
  std::int64_t max_sequences = 256;        // running at once
  std::int64_t prefill_chunk = 2048;       // tokens of one prompt per step
  std::int64_t block_tokens = 16;          // positions per KV block
  std::int64_t kv_blocks = 0;              // pool size
  std::int64_t watermark_blocks = 0;       // kept free when a waiting request enters
  std::int64_t max_waiting = 1 << 20;      // queue length
  bool prefix_reuse = false;               // prompts that begin alike share their full KV blocks
  std::int64_t host_blocks = 0;            // of host memory for blocks that the pool has no room for; with prefix_reuse
  int lookahead = 0;                       // steps in flight beyond the one running: pipeline stages − 1
};

}  // namespace lindos::scheduler
