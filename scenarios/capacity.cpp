// SPDX-License-Identifier: Apache-2.0
#include "scenarios/capacity.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <limits>

#include "scenarios/error.h"
#include "scenarios/shard_shape.h"

namespace lindos {
namespace {

// "811.7 GB", "16.4 MB": decimal, as memory sizes of plans are compared with datasheets.
std::string text(Bytes bytes) {
  constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  double value = bytes.value();
  std::size_t unit = 0;
  while (value >= 999.95 && unit + 1 < std::size(kUnits)) {
    value /= 1000.0;
    ++unit;
  }
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, unit == 0 || value >= 99.95 ? "%.0f %s" : "%.1f %s", value,
                kUnits[unit]);
  return buffer;
}

// Staging between ranks: the sum of the partial results, and the activations at a pipeline boundary.
Bytes communication_bytes(const Model& model, const GroupPlan& group, const ShardShape& shape) {
  const Bytes rows{static_cast<double>(group.limits.max_batched_tokens) *
                   static_cast<double>(model.hidden) * bytes_of(group.activation_dtype)};
  double buffers = shape.ranks > 1 ? 1.0 : 0.0;
  if (group.stages.size() > 1) buffers += 1.0;
  return buffers * rows;
}

struct Need {
  Bytes weights{0};
  Bytes available{0};
};

std::string does_not_fit(const Model& model, const GroupPlan& group, const Need& need,
                         std::size_t stage, std::size_t rank, const RankMemory& memory,
                         Bytes available) {
  const auto ranks = group.ranks_per_replica();
  const Bytes room = available - memory.activations - memory.communication;
  const std::string way_out =
      room > Bytes{0}
          ? "with such ranks at least " +
                std::to_string(static_cast<std::int64_t>(std::ceil(need.weights / room))) +
                " are needed"
          : "lower max_batched_tokens, " + std::to_string(group.limits.max_batched_tokens) +
                " now, or max_sequences, " + std::to_string(group.limits.max_sequences);
  return model.name + " in " + std::string(name_of(group.weight_dtype)) + " needs " +
         text(need.weights) + " of weights; this group of " + std::to_string(ranks) +
         (ranks == 1 ? " rank" : " ranks") + " has " + text(need.available) + " (" +
         std::to_string(std::lround(group.limits.memory_fraction * 100.0)) +
         " % of its memory). Stage " + std::to_string(stage) + " rank " + std::to_string(rank) +
         " needs " + text(memory.weights) + " for weights, " + text(memory.activations) +
         " for activations and " + text(memory.communication) + " for messages, of " +
         text(available) + "; " + way_out;
}

}  // namespace

Bytes activation_bytes(const Model& model, const GroupPlan& group, ShardId shard) {
  const ShardShape shape = shard_shape(model, group, shard);
  const std::int64_t hidden = model.hidden;
  const std::int64_t qkv = model.is_mla() ? shape.q_heads * (model.mla.nope_head_dim +
                                                             model.mla.rope_head_dim) +
                                                model.mla.q_lora_rank + shape.latent
                                          : shape.qkv_width;
  const std::int64_t ffn = std::max(shape.ffn, shape.shared_ffn);
  // Residual, norm output and partial sum; q|k|v, attention output; gate|up (or up) and the activation.
  const std::int64_t ffn_rows = model.ffn_inputs() + 1;
  std::int64_t row = 3 * hidden + qkv + shape.attention_width + ffn_rows * ffn;
  std::int64_t routing = 0;
  if (model.is_moe()) {
    // Rows of the pairs that may meet on this rank: in, gate|up, product, out.
    const std::int64_t pairs = std::min<std::int64_t>(model.moe.top_k, shape.experts);
    row += pairs * (2 * hidden + ffn_rows * shape.expert_ffn);
    // Router scores in f32; of each choice its expert, weight and row, of each row its token, 32 bits each.
    routing = model.moe.experts + 3 * model.moe.top_k + pairs;
  }
  const Bytes rows{static_cast<double>(group.limits.max_batched_tokens * row) *
                   bytes_of(group.activation_dtype)};
  return rows + Bytes{static_cast<double>(group.limits.max_batched_tokens * routing +
                                          group.limits.max_sequences * shape.vocab) *
                      bytes_of(Dtype::kF32)};
}

Bytes device_memory_of_host(Bytes memory, const EngineLimits& limits) {
  if (limits.kv_offload > Bytes{0} && limits.kv_offload >= memory) {
    throw Error(ErrorKind::kInfeasible, "plan: kv_offload",
                text(limits.kv_offload) + " are taken from the " + text(memory) +
                    " of the host that computes itself; weights and pool need the rest, ask for less");
  }
  return memory - limits.kv_offload;
}

std::variant<Capacity, Infeasible> kv_capacity(const Model& model, const GroupPlan& group,
                                               const std::vector<std::vector<Bytes>>& memory) {
  LINDOS_ASSERT(memory.size() == group.stages.size(), "one list of memories per stage");
  const EngineLimits& limits = group.limits;
  Capacity capacity;
  Need need;
  for (std::size_t s = 0; s < group.stages.size(); ++s) {
    LINDOS_ASSERT(memory[s].size() == group.stages[s].ranks.size(), "one memory per rank");
    std::vector<RankMemory>& ranks = capacity.ranks.emplace_back();
    for (std::size_t r = 0; r < memory[s].size(); ++r) {
      const ShardId shard{static_cast<int>(s), static_cast<int>(r)};
      RankMemory rank;
      rank.weights = weight_bytes(model, group, shard);
      rank.activations = activation_bytes(model, group, shard);
      rank.communication = communication_bytes(model, group, shard_shape(model, group, shard));
      rank.block =
          static_cast<double>(limits.block_tokens) * kv_bytes_per_token(model, group, shard);
      need.weights += rank.weights;
      need.available += limits.memory_fraction * memory[s][r];
      ranks.push_back(rank);
    }
  }

  std::int64_t fitting = std::numeric_limits<std::int64_t>::max();
  ShardId tightest;
  for (std::size_t s = 0; s < capacity.ranks.size(); ++s) {
    for (std::size_t r = 0; r < capacity.ranks[s].size(); ++r) {
      const RankMemory& rank = capacity.ranks[s][r];
      const Bytes available = limits.memory_fraction * memory[s][r];
      const Bytes free = available - rank.weights - rank.activations - rank.communication;
      if (free < Bytes{0}) {
        return Infeasible{does_not_fit(model, group, need, s, r, rank, available)};
      }
      if (rank.block == Bytes{0}) continue;  // a rank without heads stores no KV
      // Beyond 2^53 a double does not count blocks any more; no pool is that large.
      const double blocks = std::min(std::floor(free / rank.block), 0x1p53);
      if (static_cast<std::int64_t>(blocks) < fitting) {
        fitting = static_cast<std::int64_t>(blocks);
        tightest = {static_cast<int>(s), static_cast<int>(r)};
      }
    }
  }

  const std::string place =
      "stage " + std::to_string(tightest.stage) + " rank " + std::to_string(tightest.rank);
  const RankMemory& tight =
      capacity.ranks[static_cast<std::size_t>(tightest.stage)][static_cast<std::size_t>(tightest.rank)];
  const std::string room =
      std::to_string(fitting) + " KV blocks of " + text(tight.block) + " fit on " + place;
  if (limits.kv_blocks > fitting) {
    return Infeasible{std::to_string(limits.kv_blocks) + " KV blocks were asked for; " + room +
                      " beside " + text(tight.weights) + " of weights; ask for at most " +
                      std::to_string(fitting) + ", or 0 for all that fit"};
  }
  // More than every sequence at full length could never be used; a host would commit memory for nothing.
  const std::int64_t context = limits.max_context > 0 ? limits.max_context : model.max_positions;
  const std::int64_t useful =
      limits.max_sequences * ((context + limits.block_tokens - 1) / limits.block_tokens);
  capacity.kv_blocks = limits.kv_blocks > 0 ? limits.kv_blocks : std::min(fitting, useful);
  const std::int64_t longest = std::max<std::int64_t>(limits.max_context, 1);
  const std::int64_t needed = (longest + limits.block_tokens - 1) / limits.block_tokens;
  if (capacity.kv_blocks < needed) {
    return Infeasible{"a sequence of " + std::to_string(longest) + " tokens needs " +
                      std::to_string(needed) + " KV blocks; " +
                      (limits.kv_blocks > 0 ? std::to_string(limits.kv_blocks) + " were asked for"
                                            : room) +
                      ": sequences of " +
                      std::to_string(capacity.kv_blocks * limits.block_tokens) + " tokens fit"};
  }
  Bytes block_of_all{0};
  for (std::vector<RankMemory>& stage : capacity.ranks) {
    for (RankMemory& rank : stage) {
      rank.kv = static_cast<double>(capacity.kv_blocks) * rank.block;
      block_of_all += rank.block;
    }
  }
  if (limits.kv_offload > Bytes{0}) {
    // Block ids of both have 31 bits.
    const double most = static_cast<double>(std::numeric_limits<std::int32_t>::max()) - static_cast<double>(capacity.kv_blocks);
    capacity.host_blocks =
        static_cast<std::int64_t>(std::min(std::floor(limits.kv_offload / block_of_all), std::max(0.0, most)));
    if (capacity.host_blocks == 0) {
      return Infeasible{"kv_offload of " + text(limits.kv_offload) + " holds no block; one is " + text(block_of_all) +
                        " over all ranks"};
    }
  }
  return capacity;
}

}  // namespace lindos
