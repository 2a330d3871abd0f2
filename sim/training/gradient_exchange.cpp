// SPDX-License-Identifier: Apache-2.0
#include "sim/training/gradient_exchange.h"

#include <algorithm>
#include <cmath>

namespace lindos::sim {

namespace {

// Elements of one bucket: Megatron-Core's default, max(40 M, 1 M × data-parallel ranks) parameters
// (NVIDIA/Megatron-LM, megatron/core/distributed/distributed_data_parallel.py).
double bucket_elements(std::int64_t ranks) {
  return std::max(40e6, 1e6 * static_cast<double>(ranks));
}

struct Collective {
  CollectiveOp op;
  Bytes buffer;
  double elements;
};

// One collective of the whole buffer, bucket by bucket, one or two levels deep.
Seconds once(const Collective& c, std::int64_t ranks, const ExchangePaths& where, bool hierarchical) {
  if (ranks < 2 || c.buffer.value() <= 0.0) return Seconds{0};
  const double buckets = std::max(1.0, std::ceil(c.elements / bucket_elements(ranks)));
  const Bytes bucket = c.buffer / buckets;
  const std::int64_t inner = std::min(ranks, where.ranks_per_unit);
  const auto flat = [&](CollectiveOp op, Bytes bytes, std::int64_t n, std::int64_t per_node) {
    return nccl_time(op, bytes, n, per_node, where.paths, where.arch).time;
  };
  if (!hierarchical || inner < 2 || inner == ranks)
    return flat(c.op, bucket, ranks, where.ranks_per_node) * buckets;
  // Inside a unit each rank ends with 1/inner of the sums; that part is exchanged between the units, one
  // rank of each, and for an all-reduce gathered again.
  const std::int64_t outer = (ranks + inner - 1) / inner;
  const Bytes part = bucket / static_cast<double>(inner);
  Seconds time{0};
  if (c.op == CollectiveOp::kAllReduce) {
    time = flat(CollectiveOp::kReduceScatter, bucket, inner, where.ranks_per_node) +
           flat(CollectiveOp::kAllReduce, part, outer, 1) +
           flat(CollectiveOp::kAllGather, bucket, inner, where.ranks_per_node);
  } else {
    time = flat(c.op, bucket, inner, where.ranks_per_node) + flat(c.op, part, outer, 1);
  }
  return time * buckets;
}

void add(GradientExchange& sum, const ParameterExchange& exchange, double gradient_bytes,
         const TrainingPlan& plan, const ExchangePaths& where, const OverlapWindow& window) {
  const bool sharded = plan.zero_stage >= 1;
  const Seconds reduce =
      once({sharded ? CollectiveOp::kReduceScatter : CollectiveOp::kAllReduce, exchange.gradients,
            exchange.gradients.value() / gradient_bytes},
           exchange.ranks, where, plan.hierarchical_exchange) *
      exchange.reductions;
  const Seconds gather = once({CollectiveOp::kAllGather, exchange.parameters,
                               exchange.gradients.value() / gradient_bytes},
                              exchange.ranks, where, plan.hierarchical_exchange) *
                         exchange.gathers;
  sum.reduce += exchange.gradients * exchange.reductions;
  sum.gather += exchange.parameters * exchange.gathers;
  sum.reduce_time += reduce;
  sum.gather_time += gather;
  if (plan.overlap_gradient_reduce)
    sum.hidden_window += hidden_exchange(reduce, exchange.reductions, window.backward, window);
  if (plan.overlap_parameter_gather)
    sum.hidden_window += hidden_exchange(gather, exchange.gathers, window.forward, window);
}

}  // namespace

Seconds hidden_exchange(Seconds all, double times, Seconds pass, const OverlapWindow& window) {
  if (all.count() <= 0.0) return Seconds{0};
  const double inner_layers =
      static_cast<double>(window.layers - 1) / static_cast<double>(window.layers);
  const double chunks = window.chunks;
  const Seconds last = std::min(all / chunks, pass * times) * inner_layers;
  const Seconds others = std::min(all * ((chunks - 1.0) / chunks),
                                  pass * (times * (chunks - 1.0) * window.stages));
  return last + others;
}

GradientExchange gradient_exchange(const StepEnd& end, const TrainingPlan& plan,
                                   const ExchangePaths& where, const OverlapWindow& window) {
  GradientExchange sum;
  const double gradient_bytes = bytes_of(plan.gradient_dtype);
  add(sum, end.dense, gradient_bytes, plan, where, window);
  add(sum, end.experts, gradient_bytes, plan, where, window);
  // First and last stage sum a tied embedding's gradient, two ranks over the scale-out network.
  if (end.embedding_gradient.value() > 0.0) {
    sum.reduce += end.embedding_gradient;
    sum.reduce_time +=
        nccl_time(CollectiveOp::kAllReduce, end.embedding_gradient, 2, 1, where.paths, where.arch).time;
  }
  return sum;
}

}  // namespace lindos::sim
