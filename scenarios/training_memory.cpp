// SPDX-License-Identifier: Apache-2.0
#include "scenarios/training_memory.h"

#include <algorithm>
#include <cstddef>
#include <map>

#include "scenarios/shard_shape.h"
#include "scenarios/training_ops.h"
#include "scenarios/training_plan.h"

namespace lindos {
namespace {

// Library buffers of a rank that communicates, and what a framework takes beside its tensors: 392 MiB of NCCL on 4
// and 8 GPUs, 3.5 GB as a safety value, not a measurement (aiconfigurator 095f58a, systems/*.yaml).
constexpr Bytes kCollectiveBuffers{392.0 * kMiB};
constexpr Bytes kReserve{3.5e9};

// 8-bit GEMMs read both operands along k, so weights are stored in two layouts: one for the forward product, one
// for the input gradient (Hopper; NVIDIA Transformer Engine, FP8 primer). assume: no third copy in bf16, the f32
// master copy is what the optimizer updates.
double stored_weight(const ElementBytes& bytes) {
  return bytes.weight < bytes.side ? 2.0 * bytes.weight : bytes.weight;
}

struct Kept {
  Bytes activations{0};   // of one micro-batch in one chunk
  Bytes logits{0};
  Bytes recomputed{0};    // of the layer that is computed again, while its backward pass runs
  Bytes gradients{0};     // of input and output of the widest GEMM
};

Kept kept_by(const Model& model, const GroupPlan& group, const TrainingWorkload& training,
             ShardId shard, int chunk) {
  const MicroBatchWork work = micro_batch_work(model, group, training, shard, chunk);
  const ElementBytes bytes = element_bytes(group);
  Kept kept;
  std::map<std::int64_t, Bytes> layers;  // what each kind of layer would keep
  for (const Op& op : work.forward) {
    const Bytes all = static_cast<double>(op.count) * op.saved_bytes;
    // Selective recomputation starts from q, k and v, which its products keep.
    const bool input = training.recompute == Recompute::kSelective && op.kind == OpKind::kBatchedGemm;
    if (op.kind == OpKind::kLoss) {
      kept.logits += all;
    } else if (is_recomputed(op, training.recompute) && !input) {
      layers[op.layer] += op.saved_bytes;
    } else {
      kept.activations += all;
    }
    if (op.kind == OpKind::kGemm || op.kind == OpKind::kMoeGemm) {
      const Bytes gradients{static_cast<double>(op.m) * static_cast<double>(op.n + op.k) *
                            bytes.activation};
      kept.gradients = std::max(kept.gradients, gradients);
    }
  }
  for (const auto& [layer, size] : layers) kept.recomputed = std::max(kept.recomputed, size);
  if (training.recompute == Recompute::kFull) {
    const double sharing = group.training.sequence_parallel
                               ? static_cast<double>(shard_shape(model, group, shard).ranks)
                               : 1.0;
    const auto count = static_cast<double>(chunk_layers(group, shard.stage, chunk).size());
    const auto tokens = static_cast<double>(training.micro_batch * training.sequence) /
                        static_cast<double>(group.training.context_parallel);
    kept.activations +=
        Bytes{count * tokens * static_cast<double>(model.hidden) / sharing * bytes.activation};
  }
  return kept;
}

// Parameters of the largest layer, or of the tables at the ends: the unit in which ZeRO-3 gathers.
double largest_unit(const Model& model, const GroupPlan& group, ShardId shard) {
  const ShardShape shape = shard_shape(model, group, shard);
  double largest = 0.0;
  for (int chunk = 0; chunk < group.training.virtual_stages; ++chunk) {
    const Range layers = chunk_layers(group, shard.stage, chunk);
    for (std::int64_t l = layers.begin; l < layers.end; ++l) {
      const LayerParameters p = layer_parameters(model, shape, l);
      largest = std::max(largest, p.attention + p.ffn + p.side +
                                      (p.experts + p.expert_side) /
                                          static_cast<double>(group.training.expert_parallel));
    }
  }
  if (!shape.first_stage && !shape.last_stage) return largest;
  const RankPlan& rank = group.stages[static_cast<std::size_t>(shard.stage)]
                             .ranks[static_cast<std::size_t>(shard.rank)];
  return std::max(largest, static_cast<double>(rank.share.vocab.size()) *
                               static_cast<double>(model.hidden));
}

void add_state(TrainingMemory& memory, const Model& model, const GroupPlan& group, ShardId shard,
               std::int64_t copies, bool frozen_weights) {
  const TrainingPlan& plan = group.training;
  const ElementBytes bytes = element_bytes(group);
  const RankParameters held = rank_parameters(model, group, shard);
  const auto dense_ranks = static_cast<double>(copies);
  const double expert_ranks = static_cast<double>(copies / plan.expert_parallel);
  const auto part = [&](bool sharded) {
    return held.dense() / (sharded ? dense_ranks : 1.0) +
           held.experts / (sharded ? expert_ranks : 1.0);
  };
  const double weight = stored_weight(bytes);
  const bool sharded = plan.zero_stage == 3;
  memory.weights =
      Bytes{(held.projections * weight + held.side * bytes.side) / (sharded ? dense_ranks : 1.0) +
            held.experts * weight / (sharded ? expert_ranks : 1.0)};
  const double gradient = frozen_weights ? 0.0 : bytes_of(plan.gradient_dtype);
  memory.gradients = Bytes{part(plan.zero_stage >= 2) * gradient};
  // Two moments; a master copy unless the weights are f32; an f32 copy of narrower gradients for the update
  // (Megatron Core, distributed optimizer: 6 + 12/d bytes with f32 gradients, 4 + 16/d with 16-bit ones).
  const double states =
      frozen_weights ? 0.0 : 8.0 + (bytes.weight < 4.0 ? 4.0 : 0.0) + (gradient < 4.0 ? 4.0 : 0.0);
  memory.optimizer = Bytes{part(plan.zero_stage >= 1) * states};
  // assume: two units at once, the next one is gathered while one computes; one unit of gradients on its way.
  const double unit = largest_unit(model, group, shard);
  if (plan.zero_stage == 3) memory.communication += Bytes{2.0 * unit * bytes.side};
  if (plan.zero_stage >= 2) memory.communication += Bytes{unit * gradient};
}

}  // namespace

TrainingMemory training_memory(const Model& model, const GroupPlan& group,
                               const TrainingWorkload& training, ShardId shard,
                               std::int64_t copies, std::int64_t micro_batches) {
  TrainingMemory memory;
  memory.reserve = kReserve;
  add_state(memory, model, group, shard, copies, training.frozen_weights);
  for (int chunk = 0; chunk < group.training.virtual_stages; ++chunk) {
    const Kept kept = kept_by(model, group, training, shard, chunk);
    const auto flying =
        static_cast<double>(in_flight(group, micro_batches, shard.stage, chunk));
    memory.activations += flying * kept.activations;
    memory.logits += flying * kept.logits;
    memory.working = std::max(memory.working, kept.gradients + kept.recomputed);
  }
  memory.in_flight = in_flight(group, micro_batches, shard.stage, 0);
  if (copies * group.ranks_per_replica() > 1) memory.communication += kCollectiveBuffers;
  if (group.stages.size() > 1) {
    // One message each way on its way in and one on its way out.
    const MicroBatchWork work = micro_batch_work(model, group, training, shard, 0);
    memory.communication += 2.0 * (work.forward_message + work.backward_message);
  }
  return memory;
}

}  // namespace lindos
