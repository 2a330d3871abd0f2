// SPDX-License-Identifier: Apache-2.0
// A Plan says what runs where: groups with a role, replicas of a pipeline, per stage a layer range, per
// rank its tensor share. Shares may be uneven: that is how a mixed group avoids waiting for its slowest
// member. JSON form ("format": "lindos-plan", "version": 1) in plan_json.h; docs/formats.md documents it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scenarios/dtype.h"
#include "scenarios/model.h"
#include "scenarios/units.h"

namespace lindos {

// Half-open integer range.
struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  [[nodiscard]] std::int64_t size() const { return end - begin; }
  [[nodiscard]] bool empty() const { return end <= begin; }
  bool operator==(const Range&) const = default;
};

// What one tensor-parallel rank owns of each layer of its stage. kv_heads always covers q_heads
// (⌊q/g⌋ … ⌈q/g⌉); neighbouring ranks may both hold a KV head (replication).
struct TensorShare {
  Range q_heads;
  Range kv_heads;
  Range ffn;                       // columns of the dense FFN (and of each shared expert block)
  Range vocab;                     // rows of the LM head; only used on the last stage
  Range experts;                   // routed experts (expert parallel inside the stage)
  bool operator==(const TensorShare&) const = default;
};

struct RankPlan {
  std::string pool;                // device pool that this rank is taken from
  TensorShare share;
  int threads = 0;                 // CPU ranks: threads; 0 = even split of the cores at hand
  bool operator==(const RankPlan&) const = default;
};

struct StagePlan {
  Range layers;
  std::vector<RankPlan> ranks;
  bool operator==(const StagePlan&) const = default;
};

enum class Role { kBoth, kPrefill, kDecode, kTrain };

struct EngineLimits {
  std::int64_t max_batched_tokens = 2048;  // token budget of one step
  std::int64_t max_sequences = 256;
  std::int64_t prefill_chunk = 2048;
  std::int64_t block_tokens = 16;          // positions per KV block
  std::int64_t kv_blocks = 0;              // 0 = by the capacity rule (capacity.h)
  std::int64_t max_context = 0;            // 0 = the model's
  double memory_fraction = 0.9;            // of device memory, for weights + activations + KV
  bool prefix_reuse = false;               // prompts that begin alike share their full KV blocks
  Bytes kv_offload{0};                     // host memory of a replica for blocks its devices need for others; with prefix_reuse
  bool operator==(const EngineLimits&) const = default;
};

// Which tensor-parallel messages run beside computation.
//   kNone: none, as Megatron-LM did in 2021.
//   kBackward: the sum of a gradient beside the weight gradient's GEMM, and the gather that is repeated for it
//     beside the input gradient's (arXiv 2205.05198).
//   kTiles: also all others, cut into tiles beside the GEMM that makes or takes their rows (Transformer Engine's
//     user buffers).
enum class TensorOverlap { kNone, kBackward, kTiles };
[[nodiscard]] const char* name_of(TensorOverlap overlap);  // "none", "backward", "tiles"

// Training only. The data-parallel degree is GroupPlan::replicas; the ranks of a stage are its tensor-parallel
// ranks, each of which stands for `context_parallel` devices.
struct TrainingPlan {
  int zero_stage = 0;                      // 1: optimizer states sharded, 2: gradients too, 3: parameters too
  int virtual_stages = 1;                  // model chunks per stage (interleaving)
  bool sequence_parallel = false;          // norms and residual share a stage's tokens out over its ranks
  std::int64_t context_parallel = 1;       // ranks of the attention ring, each with 1/cp of every sequence
  std::int64_t expert_parallel = 1;        // of the replicas × context ranks, those that deal the experts out
  std::int64_t micro_batches = 0;          // per replica and step; 0 = what the other groups leave of the batch
  bool fused_attention = true;             // one kernel; false: scores, softmax and context apart, unmasked half included
  bool portable_attention = false;         // fused, but for any GPU (FlashAttention-2): leaves Hopper's and later
                                           // generations' asynchronous units idle
  bool fused_loss = true;                  // cross-entropy in one pass each way; false: maximum, exponential, sum … apart
  Dtype gradient_dtype = Dtype::kF32;      // in which gradients are summed and exchanged: f32 or bf16
  bool overlap_gradient_reduce = true;     // beside the last micro-batch's backward pass
  bool overlap_parameter_gather = true;    // beside the first micro-batch's forward pass
  TensorOverlap overlap_tensor = TensorOverlap::kBackward;
  bool hierarchical_exchange = false;      // gradients: inside the scale-up domain first, then between domains
  bool operator==(const TrainingPlan&) const = default;
};

struct GroupPlan {
  std::string name;
  Role role = Role::kBoth;
  std::int64_t replicas = 1;
  double routing_weight = 1.0;
  Watts power_limit{0};            // that each device enforces itself, as a board does; 0 = none but the scenario's caps
  std::vector<StagePlan> stages;
  EngineLimits limits;
  Dtype weight_dtype = Dtype::kBf16;
  Dtype kv_dtype = Dtype::kBf16;
  // Residual stream, projections and messages between ranks. f32 on CPUs, whose kernels widen the weights
  // in registers; logits are f32 everywhere.
  Dtype activation_dtype = Dtype::kBf16;
  TrainingPlan training;
  [[nodiscard]] std::int64_t ranks_per_replica() const {
    std::int64_t n = 0;
    for (const StagePlan& s : stages) n += static_cast<std::int64_t>(s.ranks.size());
    return n;
  }
  [[nodiscard]] std::int64_t devices_per_replica() const {
    return ranks_per_replica() * training.context_parallel;
  }
  bool operator==(const GroupPlan&) const = default;
};

// How the replica of a request is chosen. A replica's load is its unfinished requests over its routing weight.
//   kWeightedRoundRobin  in turn, in proportion to the weights
//   kRandom              drawn in proportion to the weights
//   kLeastOutstanding    the one with the least load
//   kPowerOfTwo          the less loaded of two that are drawn by weight
//   kPrefixAffinity      one for all prompts that begin alike, unless its load is above the bound
enum class RoutingPolicy { kWeightedRoundRobin, kRandom, kLeastOutstanding, kPowerOfTwo, kPrefixAffinity };
inline constexpr RoutingPolicy kRoutingPolicies[] = {
    RoutingPolicy::kWeightedRoundRobin, RoutingPolicy::kRandom, RoutingPolicy::kLeastOutstanding,
    RoutingPolicy::kPowerOfTwo, RoutingPolicy::kPrefixAffinity};
// "weighted-round-robin", "random", "least-outstanding", "power-of-two", "prefix-affinity"
[[nodiscard]] const char* name_of(RoutingPolicy policy);
[[nodiscard]] constexpr bool looks_at_load(RoutingPolicy policy) {
  return policy != RoutingPolicy::kWeightedRoundRobin && policy != RoutingPolicy::kRandom;
}

struct Routing {
  RoutingPolicy policy = RoutingPolicy::kWeightedRoundRobin;
  // Where load is looked at: a fleet has as many routers as it takes for each to see at most so many replicas.
  std::int64_t replicas_per_router = 64;
  double load_bound = 1.25;  // kPrefixAffinity: times the mean load of the router's replicas
  bool operator==(const Routing&) const = default;
};

// A token bucket: what is let in takes from it, it fills at `rate` and holds at most `burst`, so that no time of length t
// lets more than burst + rate × t in.
struct RateLimit {
  Hertz rate{0};           // 0 = no limit
  std::int64_t burst = 0;  // full at the beginning
  bool operator==(const RateLimit&) const = default;
};

struct TenantLimits {
  std::string tenant;      // of the workload
  RateLimit requests;
  RateLimit tokens;        // of prompt and output, as asked
  bool operator==(const TenantLimits&) const = default;
};

// So many unfinished requests turn the next one away; 0 = no bound.
struct UnfinishedBounds {
  std::int64_t replica = 0;
  std::int64_t router = 0;  // of all replicas that a router sees
  [[nodiscard]] bool any() const { return replica > 0 || router > 0; }
  bool operator==(const UnfinishedBounds&) const = default;
};

// Who is let in before anything is computed; the others are turned away at once (HTTP 429). Where a fleet has several
// routers each has its part of a tenant's rate, by the routing weight of its replicas, and the whole burst.
struct AdmissionLimits {
  UnfinishedBounds unfinished;
  // Of requests of at most this priority, in place of `unfinished`; the first that covers a request counts.
  struct OfPriority {
    int priority = 0;
    UnfinishedBounds unfinished;
    bool operator==(const OfPriority&) const = default;
  };
  std::vector<OfPriority> priorities;  // ascending
  std::vector<TenantLimits> tenants;   // others have no limit
  [[nodiscard]] bool any() const { return unfinished.any() || !priorities.empty() || !tenants.empty(); }
  bool operator==(const AdmissionLimits&) const = default;
};

struct Plan {
  std::string name;
  std::vector<GroupPlan> groups;
  Routing routing = {};
  AdmissionLimits admission = {};
  bool operator==(const Plan&) const = default;
};

}  // namespace lindos
