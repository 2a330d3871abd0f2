// SPDX-License-Identifier: Apache-2.0
// The backward pass, derived from the forward pass op by op, last op first. A GEMM y = x·Wᵀ of m×n×k has the input
// gradient dx = dy·W, m×k×n, and the weight gradient dW = dyᵀ·x, n×k×m, added to a buffer in the gradients'
// format. Message and gradient swap places: a gather becomes a reduce-scatter, a sum becomes nothing and the entry
// before it a sum. Megatron runs the entry's sum beside the weight gradient and, with sequence parallelism,
// gathers x again beside the input gradient (arXiv 2205.05198, section 4.2).
#include <algorithm>
#include <cstddef>
#include <utility>

#include "scenarios/error.h"
#include "scenarios/training_ops.h"
#include "scenarios/training_passes.h"

namespace lindos {
namespace {

class BackwardPass {
 public:
  BackwardPass(const Model& model, const GroupPlan& group, const ForwardPass& forward,
               bool frozen_weights)
      : model_(model), group_(group), forward_(forward), frozen_(frozen_weights) {}

  std::vector<Op> run() {
    for (std::size_t i = forward_.ops.size(); i-- > 0;) {
      const Op& op = forward_.ops[i];
      const TensorEntry* entry = entry_at(i);
      if (op.kind == OpKind::kGemm) {
        dense_gradient(op, entry);
        continue;
      }
      gradient(op, i);
      if (entry != nullptr) sum_entry(op, *entry, false);
    }
    return std::move(ops_);
  }

 private:
  [[nodiscard]] const TensorEntry* entry_at(std::size_t index) const {
    const auto found =
        std::find_if(forward_.entries.begin(), forward_.entries.end(),
                     [&](const TensorEntry& entry) { return entry.before == index; });
    return found == forward_.entries.end() ? nullptr : &*found;
  }

  // A copy of the forward op, as what its gradient differs from.
  Op& add(const Op& forward, OpKind kind) {
    Op op = forward;
    op.kind = kind;
    op.saved_bytes = Bytes{0};
    op.beside_next = false;
    ops_.push_back(op);
    return ops_.back();
  }
  // `factor` × the activations and KV that the forward op moved.
  Op& scaled(const Op& forward, OpKind kind, double factor) {
    Op& op = add(forward, kind);
    op.activation_bytes = factor * op.activation_bytes;
    op.kv_bytes = factor * op.kv_bytes;
    return op;
  }

  void message(const Op& near, OpKind kind, const TensorEntry& entry, bool beside_next) {
    Op op;
    op.kind = kind;
    op.layer = near.layer;
    op.count = entry.count;
    op.tokens = near.tokens;
    op.message_bytes = entry.message;
    op.group = entry.group;
    op.beside_next = beside_next && group_.training.overlap_tensor != TensorOverlap::kNone;
    ops_.push_back(op);
  }

  void sum_entry(const Op& near, const TensorEntry& entry, bool beside_next) {
    message(near, group_.training.sequence_parallel ? OpKind::kReduceScatter : OpKind::kAllReduce, entry, beside_next);
  }

  void dense_gradient(const Op& op, const TensorEntry* entry) {
    quantise(op);
    if (entry != nullptr && group_.training.sequence_parallel) {
      message(op, OpKind::kAllGather, *entry, true);
    }
    Op& input = add(op, OpKind::kGemm);
    input.n = op.k;
    input.k = op.n;
    if (entry != nullptr) sum_entry(op, *entry, !frozen_);
    if (frozen_) return;
    Op& weight = add(op, OpKind::kGemm);
    weight.m = op.n;
    weight.n = op.k;
    weight.k = op.m;
    weight.weight_bytes = accumulated(static_cast<double>(op.n) * static_cast<double>(op.k));
  }

  void expert_gradient(const Op& op) {
    quantise(op);
    Op& input = add(op, OpKind::kMoeGemm);
    input.n = op.k;
    input.k = op.n;
    if (frozen_) return;
    // One product per expert, as m is shared out over the experts hit.
    Op& weight = add(op, OpKind::kMoeGemm);
    const std::int64_t experts = std::max<std::int64_t>(1, op.experts_hit);
    weight.m = op.n * experts;
    weight.n = op.k;
    weight.k = std::max<std::int64_t>(1, op.m / experts);
    weight.weight_bytes = accumulated(static_cast<double>(op.n * experts) * static_cast<double>(op.k));
  }

  // Read and written: each micro-batch adds to the buffer.
  [[nodiscard]] Bytes accumulated(double parameters) const {
    return Bytes{2.0 * parameters * bytes_of(group_.training.gradient_dtype)};
  }

  // 8-bit GEMMs read dy in two layouts, cast from the activations' format.
  void quantise(const Op& op) {
    const double narrow = bytes_of(gemm_dtype(op, group_));
    if (narrow >= bytes_of(group_.activation_dtype)) return;
    Op& cast = add(op, OpKind::kQuantise);
    const double elements = static_cast<double>(op.m) * static_cast<double>(op.n);
    cast.flop = Flop{0};
    cast.weight_bytes = Bytes{0};
    cast.activation_bytes = Bytes{elements * (bytes_of(group_.activation_dtype) + 2.0 * narrow)};
  }

  // q·kᵀ has the gradients ds·k and dsᵀ·q; p·v likewise.
  void product_gradients(const Op& op) {
    Op& left = add(op, OpKind::kBatchedGemm);
    left.n = op.k;
    left.k = op.n;
    Op& right = add(op, OpKind::kBatchedGemm);
    right.m = op.n;
    right.n = op.k;
    right.k = op.m;
  }

  void attention_gradient(const Op& op, std::size_t index) {
    if (index > 0 && forward_.ops[index - 1].kind == OpKind::kRingExchange) {
      // Keys and values once more, and their gradients.
      Op& ring = add(forward_.ops[index - 1], OpKind::kRingExchange);
      ring.message_bytes = 2.0 * ring.message_bytes;
      ring.beside_next = true;
    }
    // Five products against two: the scores are computed again (arXiv 2307.08691). Reads q, o and do, writes dq;
    // reads k and v, writes dk and dv.
    Op& back = scaled(op, OpKind::kAttentionBackward, 2.0);
    back.flop = 2.5 * op.flop;
  }

  void gradient(const Op& op, std::size_t index) {
    // Of a function of one (or two) inputs: they, dy and the gradients that are written, against what forward moved.
    const double inputs = model_.ffn_inputs();
    switch (op.kind) {
      case OpKind::kNorm:            // x and dy read, dx written
      case OpKind::kSoftmax:         // p and dp read, ds written
        scaled(op, op.kind, 1.5);
        return;
      case OpKind::kActivation:
        scaled(op, op.kind, (2.0 * inputs + 1.0) / (inputs + 1.0));
        return;
      case OpKind::kEmbedding:       // rows of dy are added to the table's gradient
        if (!frozen_) add(op, op.kind);
        return;
      case OpKind::kRopeKvWrite:     // rotated back
      case OpKind::kResidual:        // the gradients of stream and branch are added
      case OpKind::kDropout:
      case OpKind::kLoss:
      case OpKind::kAllToAll:
        add(op, op.kind);
        return;
      case OpKind::kMoeRoute:        // gradients of the rows and of the weights
        add(op, op.kind);
        if (!frozen_) add(op, op.kind);
        return;
      case OpKind::kMoeGemm:
        expert_gradient(op);
        return;
      case OpKind::kBatchedGemm:
        product_gradients(op);
        return;
      case OpKind::kAttentionPrefill:
        attention_gradient(op, index);
        return;
      case OpKind::kAllGather:
        // That of an entry has become the entry's sum.
        if (entry_at(index + 1) == nullptr) add(op, OpKind::kReduceScatter);
        return;
      case OpKind::kReduceScatter:
        add(op, OpKind::kAllGather);
        return;
      case OpKind::kQuantise:        // a cast has no gradient
      case OpKind::kAllReduce:       // the gradient of a sum is the same on every rank
      case OpKind::kRingExchange:    // went with the attention
        return;
      case OpKind::kGemm:
      case OpKind::kAttentionDecode:
      case OpKind::kAttentionBackward:
      case OpKind::kSendRecv:
      case OpKind::kSample:
      case OpKind::kOptimizer:
        break;
    }
    LINDOS_ASSERT(false, "no forward pass of training has this op");
  }

  const Model& model_;
  const GroupPlan& group_;
  const ForwardPass& forward_;
  bool frozen_;
  std::vector<Op> ops_;
};

}  // namespace

std::vector<Op> backward_pass(const Model& model, const GroupPlan& group,
                              const ForwardPass& forward, bool frozen_weights) {
  return BackwardPass(model, group, forward, frozen_weights).run();
}

}  // namespace lindos
