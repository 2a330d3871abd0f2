// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/layer_prices.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "sim/training/gradient_exchange.h"
#include "sim/training/make_training_job.h"

namespace lindos::sim {

namespace {

PassSeconds seconds_of(const ChunkWork& chunk) {
  return {chunk.forward.compute().count(), chunk.forward.communication().count(), chunk.backward.compute().count(),
          chunk.backward.communication().count()};
}

// `stages` stages of one chunk.
TrainingJob table_of(const Scenario& scenario, const TrainingShape& shape, int stages, std::int64_t copies,
                     std::int64_t micro_batches, const std::map<std::string, Profile>& profiles) {
  Scenario table = scenario;
  TrainingShape cut = shape;
  cut.stages = stages;
  cut.chunks = 1;
  const std::int64_t replicas = std::max<std::int64_t>(1, copies / shape.context);
  table.plan.groups = {group_of(scenario, cut, replicas, micro_batches)};
  table.workload.training.global_batch = replicas * micro_batches * scenario.workload.training.micro_batch;
  return make_training_job(table, profiles);
}

// The longest over the stages.
double longest(const TrainingJob& job, Seconds GradientExchange::*part) {
  double out = 0.0;
  for (const StageJob& stage : job.groups.front().stages) out = std::max(out, (stage.exchange.*part).count());
  return out;
}

// The shortest: of a stage without embedding and head, where there is one.
double shortest(const TrainingJob& job, Seconds GradientExchange::*part) {
  double out = longest(job, part);
  for (const StageJob& stage : job.groups.front().stages) out = std::min(out, (stage.exchange.*part).count());
  return out;
}

// Layers that cost alike wherever they lie.
bool alike(const Model& model, std::int64_t a, std::int64_t b) {
  const auto window = [&](std::int64_t l) {
    return model.sliding_window.empty() ? 0 : model.sliding_window[static_cast<std::size_t>(l)];
  };
  return model.is_moe_layer(a) == model.is_moe_layer(b) && window(a) == window(b);
}

}  // namespace

PassSeconds& PassSeconds::operator+=(const PassSeconds& other) {
  forward += other.forward;
  forward_messages += other.forward_messages;
  backward += other.backward;
  backward_messages += other.backward_messages;
  return *this;
}

PassSeconds& PassSeconds::operator-=(const PassSeconds& other) {
  forward -= other.forward;
  forward_messages -= other.forward_messages;
  backward -= other.backward;
  backward_messages -= other.backward_messages;
  return *this;
}

LayerPrices::LayerPrices(const Scenario& scenario, const TrainingShape& shape, std::int64_t copies,
                         const std::map<std::string, Profile>& profiles) {
  const auto all_layers = static_cast<int>(scenario.model.layers);
  const int few = std::max(1, all_layers / 16);  // stages of many layers
  TrainingJob table = table_of(scenario, shape, all_layers, copies, 1, profiles);
  const TrainingJob wide = table_of(scenario, shape, few, copies, 1, profiles);
  const auto fit = [&](Collective& c, Seconds GradientExchange::*part, double more) {
    const double one = shortest(table, part);
    c.ends = longest(table, part) - one;
    const double layers_more = static_cast<double>(all_layers) / few - 1.0;
    c.layer = layers_more > 0.0 ? std::max(0.0, (longest(wide, part) - c.ends - one) / layers_more) : one;
    c.start = std::max(0.0, one - c.layer);
    // `more`: seconds that a second micro-batch adds to a stage of one layer.
    c.rounds = one + c.ends > 0.0 ? more / (one + c.ends) : 0.0;
    c.once = 1.0 - c.rounds;
  };
  double more_reduce = 0.0;
  double more_gather = 0.0;
  if (shape.zero_stage >= 2) {
    const TrainingJob twice = table_of(scenario, shape, all_layers, copies, 2, profiles);
    more_reduce = longest(twice, &GradientExchange::reduce_time) - longest(table, &GradientExchange::reduce_time);
    more_gather = longest(twice, &GradientExchange::gather_time) - longest(table, &GradientExchange::gather_time);
  }
  fit(reduce_, &GradientExchange::reduce_time, more_reduce);
  fit(gather_, &GradientExchange::gather_time, more_gather);
  const TrainingPlan overlaps = group_of(scenario, shape, {scenario.model.layers}, 1, 1).training;
  reduce_overlaps_ = overlaps.overlap_gradient_reduce;
  gather_overlaps_ = overlaps.overlap_parameter_gather;
  stages_ = std::move(table.groups.front().stages);
  const auto layers = static_cast<std::int64_t>(stages_.size());
  // The ends carry embedding and head; a layer there costs what a like one elsewhere does.
  const auto price_at = [&](std::int64_t l) { return seconds_of(stages_[static_cast<std::size_t>(l)].chunks.front()); };
  const auto extreme = [&](std::int64_t layer, bool longest) {
    PassSeconds found = price_at(layer);
    bool any = false;
    for (std::int64_t l = 1; l + 1 < layers; ++l) {
      if (!alike(scenario.model, layer, l)) continue;
      const PassSeconds other = price_at(l);
      if (any && (longest ? other.total() <= found.total() : other.total() >= found.total())) continue;
      found = other;
      any = true;
    }
    return found;
  };
  first_far_ = stages_.size();
  std::vector<PassSeconds> near;
  std::vector<PassSeconds> far;
  for (std::int64_t l = 0; l < layers; ++l) {
    near.push_back(extreme(l, false));
    far.push_back(extreme(l, true));
    const bool inner = l > 0 && l + 1 < layers;
    if (inner && first_far_ == stages_.size() && price_at(l).total() > near.back().total() * (1.0 + 1e-9))
      first_far_ = static_cast<std::size_t>(l);
  }
  near_.emplace_back();
  far_.emplace_back();
  for (std::size_t l = 0; l < near.size(); ++l) {
    near_.push_back(near_.back());
    near_.back() += near[l];
    far_.push_back(far_.back());
    far_.back() += far[l];
  }
  if (layers > 2) {
    embedding_ = price_at(0);
    embedding_ -= near.front();
    head_ = price_at(layers - 1);
    head_ -= near.back();
    optimizer_layer_ = stages_[1].optimizer.total().count();
  }
  for (const StageJob& stage : stages_)
    optimizer_ends_ = std::max(optimizer_ends_, stage.optimizer.total().count() - optimizer_layer_);
}

PassSeconds LayerPrices::sum(std::int64_t begin, std::int64_t end, bool far) const {
  const std::vector<PassSeconds>& prefix = far ? far_ : near_;
  PassSeconds out = prefix[static_cast<std::size_t>(end)];
  out -= prefix[static_cast<std::size_t>(begin)];
  return out;
}

void LayerPrices::add_stages(GroupJob& group, const std::vector<std::int64_t>& layers, std::size_t begin, std::size_t end) const {
  const bool far = first_far_ < end - begin;
  std::int64_t layer = std::accumulate(layers.begin(), layers.begin() + static_cast<std::ptrdiff_t>(begin), std::int64_t{0});
  for (std::size_t s = begin; s < end; ++s) {
    // All chunks of a stage in one entry: the closed rung only sums them. Which layers they are does not matter
    // where layers cost alike; else the plan's order stands for the chunks'.
    PassSeconds pass = sum(layer, layer + layers[s], far);
    layer += layers[s];
    if (s == 0) pass += embedding_;
    if (s + 1 == layers.size()) pass += head_;
    StageJob stage;
    stage.next = stages_[s - begin].next;
    ChunkWork chunk;
    chunk.forward.add(Cause::kUseful, Seconds(pass.forward));
    chunk.forward.add(Cause::kExposedTensor, Seconds(pass.forward_messages));
    chunk.backward.add(Cause::kUseful, Seconds(pass.backward));
    chunk.backward.add(Cause::kExposedTensor, Seconds(pass.backward_messages));
    chunk.forward_message = stages_.front().chunks.front().forward_message;
    chunk.backward_message = stages_.back().chunks.front().backward_message;
    stage.chunks = {std::move(chunk)};
    group.stages.push_back(std::move(stage));
  }
}

TrainingJob LayerPrices::job(const TrainingShape& shape, const std::vector<std::int64_t>& layers) const {
  TrainingJob out;
  GroupJob& group = out.groups.emplace_back();
  group.virtual_stages = shape.chunks;
  add_stages(group, layers, 0, layers.size());
  return out;
}

TrainingJob LayerPrices::job_over(const LayerPrices& last, const Interconnect& between, const TrainingShape& shape,
                                  const std::vector<std::int64_t>& layers) const {
  TrainingJob out;
  GroupJob& group = out.groups.emplace_back();
  group.virtual_stages = shape.chunks;
  const std::size_t border = layers.size() - static_cast<std::size_t>(shape.last->stages);
  add_stages(group, layers, 0, border);
  last.add_stages(group, layers, border, layers.size());
  group.stages[border - 1].next = group.stages.back().next = between;
  return out;
}

std::int64_t LayerPrices::layers_on_last(const LayerPrices& last, const TrainingShape& shape) const {
  const auto all = static_cast<std::int64_t>(stages_.size());
  const std::int64_t after = shape.last->stages;
  const std::int64_t before = shape.stages - after;
  const double here = near_.back().total() / static_cast<double>(all);
  const double there = last.near_.back().total() / static_cast<double>(all);
  std::int64_t best = after;
  double least = std::numeric_limits<double>::infinity();
  for (std::int64_t n = after; n <= all - before; ++n) {
    const auto fullest = [](std::int64_t layers, std::int64_t stages) { return static_cast<double>((layers + stages - 1) / stages); };
    const double slowest =
        std::max(fullest(all - n, before) * here + embedding_.total(), fullest(n, after) * there + last.head_.total());
    if (slowest >= least) continue;
    least = slowest;
    best = n;
  }
  return best;
}

Seconds LayerPrices::tail(const TrainingShape& shape, const std::vector<std::int64_t>& layers, const TrainingJob& job,
                          std::int64_t micro_batches, std::size_t begin, std::size_t end) const {
  // The stage with most layers, as if it had embedding or head as well.
  std::size_t fullest = begin;
  for (std::size_t s = begin + 1; s < end; ++s) {
    if (layers[s] > layers[fullest]) fullest = s;
  }
  const ChunkWork& passes = job.groups.front().stages[fullest].chunks.front();
  const std::int64_t most = layers[fullest];
  const double chunks = shape.chunks;
  const OverlapWindow window{passes.backward.total() / chunks, passes.forward.total() / chunks,
                             std::max<std::int64_t>(1, most / shape.chunks), shape.chunks, shape.stages};
  const Seconds reduce = reduce_.all(most, micro_batches);
  const Seconds gather = gather_.all(most, micro_batches);
  Seconds exposed = reduce + gather;
  if (reduce_overlaps_) exposed -= hidden_exchange(reduce, reduce_.times(micro_batches), window.backward, window);
  if (gather_overlaps_) exposed -= hidden_exchange(gather, gather_.times(micro_batches), window.forward, window);
  return std::max(Seconds{0}, exposed) + Seconds(optimizer_layer_ * static_cast<double>(most) + optimizer_ends_);
}

}  // namespace lindos::sim
