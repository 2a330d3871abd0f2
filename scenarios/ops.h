// SPDX-License-Identifier: Apache-2.0
// The one description of the work. (Model, shard, batch) → list of ops with exact FLOP, bytes and message
// sizes. sim prices this list, exec executes it and takes MFU/MBU from it, calibrate fits it.
//
// Counting rules (definition "ops/1"): a GEMM m×n×k is 2mnk FLOP and reads the n×k weights once, reads
// m×k and writes m×n activations. Causal attention counts only the visible half: a query at position p
// sees p + 1 keys. KV is read once per (sequence, KV head) and step. Norm, RoPE, SwiGLU, residual and
// embedding count bytes and their few FLOP as 0 (they never bound; MFU counts matrix FLOP only).
// The embedding's rows are gathered, so they count as activations; weights "touched" are those of GEMMs and
// norms. docs/ops.md derives every formula.
// Sums over all ranks of a sharding equal the unsharded list plus named overheads (sharding_overhead).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scenarios/model.h"
#include "scenarios/plan.h"
#include "scenarios/units.h"

namespace lindos {

// One sequence's part of a step: `tokens` new positions after `context` cached ones.
struct Slice {
  std::int64_t context = 0;
  std::int64_t tokens = 0;
  bool wants_logits = true;        // only the last chunk of a prompt and decodes do
  [[nodiscard]] bool is_decode() const { return tokens == 1 && context > 0; }
  bool operator==(const Slice&) const = default;
};
using Batch = std::vector<Slice>;

enum class OpKind {
  kEmbedding,      // gather rows
  kNorm,           // RMSNorm (input, post-attention, final, QK)
  kGemm,           // dense projection
  kRopeKvWrite,    // RoPE on q and k, append k and v to the cache
  kAttentionPrefill,
  kAttentionDecode,
  kActivation,     // SwiGLU product, or the function of an FFN without a gate
  kMoeRoute,       // router scores and top-k
  kMoeGemm,        // grouped GEMM over the experts hit
  kResidual,       // add to the residual stream (with bias where there is one)
  kAllReduce,      // tensor parallel
  kAllGather,      // logits candidates
  kAllToAll,       // expert parallel dispatch or combine
  kSendRecv,       // pipeline boundary
  kSample,         // argmax / top-k over local logits
  // Training only (training_ops.h).
  kAttentionBackward,  // fused: scores again, then gradients of q, k and v
  kBatchedGemm,        // unfused attention: one product per sequence and head, `products` of them
  kSoftmax,            // unfused attention, and its gradient
  kDropout,            // of attention probabilities, and its gradient
  kQuantise,           // cast to an 8-bit format with the transposed copy that the weight gradient reads
  kLoss,               // cross-entropy over local logits, and its gradient
  kReduceScatter,      // sequence parallel
  kRingExchange,       // context parallel: keys and values of the other ranks
  kOptimizer,          // gradient norm, clipping, update
};
[[nodiscard]] const char* name_of(OpKind kind);

// Which matrix a GEMM is; names the row in tables and the weight in the checkpoint.
enum class GemmSite {
  kNone, kQkv, kO, kGateUp, kDown, kLmHead, kRouter, kMlaDown, kMlaUp,
  kScores, kContext,  // unfused attention: q·kᵀ and p·v
};
[[nodiscard]] const char* name_of(GemmSite site);

struct Op {
  OpKind kind = OpKind::kGemm;
  GemmSite site = GemmSite::kNone;
  std::int64_t layer = -1;         // -1: not in a layer
  std::int64_t count = 1;          // identical ops folded into one row (same shape, consecutive layers)
  // GEMM: m tokens, n outputs, k inputs; MoE: m = token-expert pairs on this rank, experts_hit of them.
  std::int64_t m = 0, n = 0, k = 0;
  std::int64_t experts_hit = 0;
  std::int64_t experts = 0;        // MoE GEMM and the activation inside: experts that the rank holds
  std::int64_t products = 1;       // kBatchedGemm: products of m×n×k
  // Attention: local heads, dims and the slices it covers.
  std::int64_t q_heads = 0, kv_heads = 0, head_dim = 0;
  std::int64_t value_dim = 0;      // of values; 0: as wide as keys
  std::int64_t latent = 0;         // elements of the latent that the cache holds per token; 0: keys and values
  std::int64_t tokens = 0;         // tokens the op touches
  std::int64_t kv_tokens = 0;      // attention: Σ over slices of keys read (context + tokens, windowed)
  Flop flop{0};                    // of one of `count`
  Bytes weight_bytes{0};
  Bytes activation_bytes{0};
  Bytes kv_bytes{0};
  Bytes message_bytes{0};          // communication: full buffer per rank
  int group = 1;                   // ranks that take part in the communication
  bool portable = false;           // attention kernel for any GPU generation
  bool beside_next = false;        // communication that runs beside the op after it
  bool tiled = false;              // communication in tiles beside the GEMM before or after it
  Bytes saved_bytes{0};            // training, forward: what the backward pass needs of this op

  [[nodiscard]] Bytes bytes() const { return weight_bytes + activation_bytes + kv_bytes; }
  bool operator==(const Op&) const = default;
};

// Which part of a plan's group one rank is.
struct ShardId {
  int stage = 0;
  int rank = 0;
  bool operator==(const ShardId&) const = default;
};

struct OpOptions {
  bool fold_layers = true;         // fold identical layers into count > 1
  // Exponent of the experts' power-law popularity; 0 = uniform. Published fits: 1.01 DeepSeek-V3, 1.2
  // Qwen3-235B (modelling handbook 7.2).
  double expert_skew = 0.0;
  std::int64_t candidates = 1;     // per row and rank that the LM head's ranks exchange; 1 = greedy
};

// Ops of one step of one rank, in execution order; none for an empty batch. Messages are booked where they
// arrive: kSendRecv opens the list of the receiving stage. `group` must be valid for `model` (validate_plan).
[[nodiscard]] std::vector<Op> step_ops(const Model& model, const GroupPlan& group, ShardId shard,
                                       const Batch& batch, const OpOptions& options = {});

struct OpTotals {
  Flop flop{0};
  Bytes weight_bytes{0};
  Bytes activation_bytes{0};
  Bytes kv_bytes{0};
  Bytes message_bytes{0};
  bool operator==(const OpTotals&) const = default;
};
[[nodiscard]] OpTotals total(const std::vector<Op>& ops);

// What a sharding costs in one step beyond the unsharded work, by name. Summed over all ranks:
//   FLOP        = unsharded + replicated_kv_flop + replicated_flop
//   weights     = unsharded + replicated_kv_weights + replicated_weights
//   KV cache    = unsharded + replicated_kv_cache
//   activations = unsharded + replicated_activation
//   messages    = messages
struct ShardingOverhead {
  Flop replicated_kv_flop{0};      // k/v projections computed on more than one rank
  Bytes replicated_kv_weights{0};
  Bytes replicated_kv_cache{0};    // KV heads held twice, the latent on every rank: reads and writes
  Flop replicated_flop{0};         // router and latent down-projection, computed on every rank
  Bytes replicated_weights{0};     // theirs, norms, and biases added after a reduction
  Bytes tied_copy{0};              // stored, not read more: the embedding a second time on the last stage
  Bytes replicated_activation{0};  // inputs, norms and residual traffic repeated on every rank
  Bytes messages{0};
  bool operator==(const ShardingOverhead&) const = default;
};
[[nodiscard]] ShardingOverhead sharding_overhead(const Model& model, const GroupPlan& group,
                                                 const Batch& batch);

// Parameters and bytes.
[[nodiscard]] std::int64_t parameter_count(const Model& model);           // tied embedding counted once
[[nodiscard]] std::int64_t active_parameter_count(const Model& model);    // MoE: top-k + shared only
// Stored weights of one rank. Every rank of the first stage holds the whole embedding table, so that looking
// up needs no message. Formats narrower than bf16 apply to projections and experts only.
[[nodiscard]] Bytes weight_bytes(const Model& model, const GroupPlan& group, ShardId shard);
[[nodiscard]] Bytes kv_bytes_per_token(const Model& model, const GroupPlan& group, ShardId shard);

// What a sharding stores beyond one copy: Σ ranks weight_bytes = unsharded + total().
struct StorageOverhead {
  Bytes kv_heads{0};               // k/v projections of KV heads held twice
  Bytes per_rank{0};               // norms, late biases, routers, latent down-projections on every rank
  Bytes embedding{0};              // the table on every rank of the first stage
  Bytes tied_copy{0};              // a tied table once more, as LM head of the last stage
  [[nodiscard]] Bytes total() const { return kv_heads + per_rank + embedding + tied_copy; }
};
[[nodiscard]] StorageOverhead storage_overhead(const Model& model, const GroupPlan& group);

}  // namespace lindos
