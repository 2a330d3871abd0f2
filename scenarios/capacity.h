// SPDX-License-Identifier: Apache-2.0
// KV capacity: how many cache blocks fit beside the weights. The one rule, used by engine and simulator:
//   kv_blocks = min over ranks ⌊(memory × fraction − weights − activations − communication) / block bytes⌋,
// and never more than max_sequences sequences of full context can use.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "scenarios/model.h"
#include "scenarios/ops.h"
#include "scenarios/plan.h"

namespace lindos {

struct RankMemory {
  Bytes weights{0};
  Bytes activations{0};            // peak scratch of one step at the plan's limits
  Bytes communication{0};
  Bytes block{0};                  // one KV block of this rank's layers and KV heads
  Bytes kv{0};                     // blocks × block
  [[nodiscard]] Bytes total() const { return weights + activations + communication + kv; }
};

struct Capacity {
  std::int64_t kv_blocks = 0;      // common to all ranks of the replica
  std::int64_t host_blocks = 0;    // in host memory, beside those: ⌊kv_offload / Σ over ranks of block bytes⌋
  std::vector<std::vector<RankMemory>> ranks;  // [stage][rank]
};

struct Infeasible {
  std::string reason;              // the binding constraint with its numbers and the nearest feasible choice
};

// `memory` per [stage][rank]. If limits.kv_blocks > 0 that many are taken, and refused when they do not fit.
[[nodiscard]] std::variant<Capacity, Infeasible> kv_capacity(
    const Model& model, const GroupPlan& group, const std::vector<std::vector<Bytes>>& memory);

// Memory of a host that computes itself, without what kv_offload takes of it. Throws Error{kInfeasible} where nothing is left.
[[nodiscard]] Bytes device_memory_of_host(Bytes memory, const EngineLimits& limits);

// Scratch of one rank for one step at the limits: residual, norm output, qkv, attention output, gate/up,
// logits; f32 on CPU and for logits, weight dtype elsewhere.
[[nodiscard]] Bytes activation_bytes(const Model& model, const GroupPlan& group, ShardId shard);

}  // namespace lindos
