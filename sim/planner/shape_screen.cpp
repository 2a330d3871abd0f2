// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/shape_screen.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "scenarios/error.h"
#include "scenarios/text_layout.h"
#include "scenarios/training_memory.h"
#include "sim/interconnect.h"
#include "sim/training/closed_training.h"

namespace lindos::sim {

namespace {

// Ends up to so many micro-batches are computed, later ones continued: a pipeline that is full takes equally long for
// each further round.
constexpr std::int64_t kComputedEnds = 256;
// Beyond so many per replica, a job has too few replicas to be of interest beside one with more.
constexpr std::int64_t kMostMicroBatches = 65'536;
// Stages that the guess of the exchange's length has; it enters by a logarithm.
constexpr std::int64_t kGuessedStages = 8;

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

std::int64_t most_micro_batches(const TrainingSpace& space, const Scenario& scenario, std::int64_t replicas) {
  return std::min(kMostMicroBatches,
                  ceil_div(space.most_batch / scenario.workload.training.micro_batch, replicas));
}

}  // namespace

std::int64_t ScreenedShape::most_by(double seconds) const {
  const auto ended = static_cast<std::int64_t>(std::upper_bound(ends.begin(), ends.end(), seconds) - ends.begin());
  if (ended <= most_any) return ended;
  const std::int64_t whole = multiples_fit ? ended / shape.stages * shape.stages : 0;
  return std::max(whole, most_any);
}

ShapeScreen::ShapeScreen(const Scenario& scenario, const TrainingSpace& space,
                         const std::map<std::string, Profile>& profiles, double slowest,
                         std::function<bool()> cancelled)
    : scenario_(scenario), space_(space), profiles_(profiles), slowest_(slowest) {
  shapes_.resize(scenario.cluster.pools.size());
  all_.resize(scenario.cluster.pools.size());
  for (const std::size_t pool : space.pools) {
    all_[pool] = shapes_on(scenario, space, pool);
    for (const TrainingShape& shape : all_[pool]) {
      if (cancelled && cancelled()) throw Error(ErrorKind::kCancelled, "", "cancelled");
      screen(shape, shapes_[pool], slowest_);
    }
  }
}

void ShapeScreen::screen_over(double slowest, const std::function<bool()>& cancelled) {
  for (const std::size_t first : space_.pools) {
    for (const std::size_t last : space_.pools) {
      if (first == last) continue;
      for (TrainingShape& shape : shapes_over(scenario_, space_, first, last)) {
        if (cancelled && cancelled()) throw Error(ErrorKind::kCancelled, "", "cancelled");
        shape.last->layers = prices(shape).layers_on_last(prices_of_last(shape), shape);
        screen(shape, over_, slowest > 0.0 ? slowest : slowest_);
      }
    }
  }
}

const std::vector<std::int64_t>& ShapeScreen::layers_of(const TrainingShape& shape) {
  std::vector<std::int64_t>& layers = layers_[{shape.stages, shape.last ? shape.last->stages : 0, shape.last ? shape.last->layers : 0}];
  if (layers.empty()) layers = lindos::sim::layers_of(scenario_.model, shape);
  return layers;
}

const LayerPrices& ShapeScreen::prices_of_last(const TrainingShape& shape) {
  TrainingShape there = shape;
  there.pool = shape.last->pool;
  return prices(there);
}

Interconnect ShapeScreen::way_between(std::size_t first, std::size_t last) const {
  const auto out_of = [&](std::size_t pool) {
    const Device& device = scenario_.devices.at(scenario_.cluster.pools[pool].node.device);
    const auto profile = profiles_.find(device.name);
    return interconnect_between(device, scenario_.cluster.fabric, profile == profiles_.end() ? Profile{} : profile->second, 0,
                                std::max(1, device.scale_up_domain));
  };
  return slower(out_of(first), out_of(last));
}

TrainingJob ShapeScreen::job(const TrainingShape& shape, const std::vector<std::int64_t>& layers) {
  if (!shape.last) return prices(shape).job(shape, layers);
  return prices(shape).job_over(prices_of_last(shape), way_between(shape.pool, shape.last->pool), shape, layers);
}

double ShapeScreen::end_of(TrainingJob& job, const TrainingShape& shape, const std::vector<std::int64_t>& layers,
                           std::int64_t micro_batches) {
  job.groups.front().micro_batches = micro_batches;
  ++priced_;
  const std::size_t border = layers.size() - static_cast<std::size_t>(shape.last ? shape.last->stages : 0);
  Seconds tail = prices(shape).tail(shape, layers, job, micro_batches, 0, border);
  if (shape.last) tail = std::max(tail, prices_of_last(shape).tail(shape, layers, job, micro_batches, border, layers.size()));
  return (closed_nominal(job).pipeline.front() + tail).count();
}

const LayerPrices& ShapeScreen::prices(const TrainingShape& shape) {
  std::unique_ptr<LayerPrices>& known =
      prices_[{shape.pool, shape.tensor, shape.context, shape.expert, shape.zero_stage}];
  if (!known) {
    TrainingShape typical = shape;
    typical.last.reset();
    typical.stages = static_cast<int>(std::min(kGuessedStages, scenario_.model.layers));
    known = std::make_unique<LayerPrices>(scenario_, typical, copies_of(typical), profiles_);
  }
  return *known;
}

// If all pools were cut like this one.
std::int64_t ShapeScreen::copies_of(const TrainingShape& shape) const {
  std::int64_t copies = 0;
  for (const std::size_t pool : space_.pools) {
    TrainingShape there = shape;
    there.pool = pool;
    there.last.reset();
    copies += most_replicas(scenario_, there) * shape.context;
  }
  return std::max(copies, shape.expert);
}

bool ShapeScreen::fits(const TrainingShape& shape, std::int64_t micro_batches) {
  const std::int64_t copies = copies_of(shape);
  const GroupPlan group = group_of(scenario_, shape, layers_of(shape),
                                   std::max<std::int64_t>(1, copies / shape.context), micro_batches);
  // The first stage has most micro-batches in flight, the last the logits; those between differ by a layer. On each pool.
  const int border = shape.stages - (shape.last ? shape.last->stages : 0);
  for (const int stage : {0, 1, border, border + 1, shape.stages - 1}) {
    if (stage >= shape.stages) continue;
    const std::size_t pool = stage < border ? shape.pool : shape.last->pool;
    const Bytes memory = scenario_.devices.at(scenario_.cluster.pools[pool].node.device).memory;
    const TrainingMemory needed = training_memory(scenario_.model, group, scenario_.workload.training, {stage, 0},
                                                  copies, micro_batches);
    if (needed.total() <= memory) continue;
    const double overflow = needed.total() / memory;
    if (nearest_.overflow == 0.0 || overflow < nearest_.overflow) {
      nearest_.overflow = overflow;
      nearest_.arithmetic = text_of(shape) + " on pool \"" + group.name + "\" needs " +
                             number_text(needed.total().value() / kGiB, 4) + " of " +
                            number_text(memory.value() / kGiB, 4) + " GiB (" + arithmetic(needed) + ")";
    }
    return false;
  }
  return true;
}

bool ShapeScreen::fill_memory(ScreenedShape& screened, std::int64_t most) {
  TrainingShape& shape = screened.shape;
  bool any = false;
  for (const int zero : space_.zero_stages) {
    shape.zero_stage = zero;
    any = fits(shape, 1);
    if (any) break;
  }
  if (!any) return false;
  // A number that the stages do not divide keeps most in flight; the more, the more.
  const auto ragged = [&](std::int64_t m) { return m > 1 && m % shape.stages == 0 ? m + 1 : m; };
  if (fits(shape, ragged(most))) {
    screened.most_any = most;
    return true;
  }
  std::int64_t low = 1;
  std::int64_t high = most;
  while (low + 1 < high) {
    const std::int64_t middle = low + (high - low) / 2;
    (fits(shape, ragged(middle)) ? low : high) = middle;
  }
  screened.most_any = low;
  screened.multiples_fit = shape.chunks > 1 && most >= shape.stages && fits(shape, most / shape.stages * shape.stages);
  return true;
}

double ShapeScreen::end_at(const TrainingShape& shape, std::int64_t micro_batches) {
  const std::vector<std::int64_t>& layers = layers_of(shape);
  TrainingJob priced = job(shape, layers);
  return end_of(priced, shape, layers, micro_batches);
}

void ShapeScreen::screen(const TrainingShape& shape, std::vector<ScreenedShape>& out, double slowest) {
  ++looked_at_;
  const std::vector<std::int64_t>& layers = layers_of(shape);
  if (*std::min_element(layers.begin(), layers.end()) < shape.chunks) {
    pruned_.add("a stage has fewer layers than chunks", 1, text_of(shape));
    return;
  }
  ScreenedShape screened{shape, most_replicas(scenario_, shape), {}, 0, false};
  const std::int64_t most = most_micro_batches(space_, scenario_, screened.replicas);
  const auto compute = [&] {
    screened.ends.clear();
    TrainingJob priced = job(screened.shape, layers);
    for (std::int64_t m = 1; m <= std::min(most, kComputedEnds); ++m) {
      const double end = end_of(priced, screened.shape, layers, m);
      if (slowest > 0.0 && end > slowest) return;
      screened.ends.push_back(screened.ends.empty() ? end : std::max(end, screened.ends.back()));
    }
    const auto round = static_cast<std::size_t>(std::min<std::int64_t>(shape.stages, kComputedEnds / 2));
    while (static_cast<std::int64_t>(screened.ends.size()) < most) {
      const std::size_t n = screened.ends.size();
      const double end = screened.ends[n - round] +
                         (screened.ends[kComputedEnds - 1] - screened.ends[kComputedEnds - 1 - round]);
      if (slowest > 0.0 && end > slowest) return;
      screened.ends.push_back(end);
    }
  };
  compute();
  if (screened.ends.empty()) {
    pruned_.add("one micro-batch takes longer than the slowest step asked for", 1, text_of(shape));
    return;
  }
  if (!fill_memory(screened, static_cast<std::int64_t>(screened.ends.size()))) {
    pruned_.add("memory", 1, nearest_.arithmetic);
    return;
  }
  if (screened.shape.zero_stage != shape.zero_stage) compute();
  if (screened.ends.empty()) {
    pruned_.add("one micro-batch takes longer than the slowest step asked for", 1, text_of(screened.shape));
    return;
  }
  out.push_back(std::move(screened));
}

std::vector<ShapeScreen::Uniform> ShapeScreen::uniform_plans(const std::vector<std::size_t>& pools,
                                                             std::size_t count) {
  std::vector<Uniform> all;
  const std::int64_t batch = space_.least_batch / scenario_.workload.training.micro_batch;
  for (const TrainingShape& shape : all_[pools.front()]) {
    const std::vector<std::int64_t>& layers = layers_of(shape);
    if (*std::min_element(layers.begin(), layers.end()) < shape.chunks) continue;
    Uniform uniform;
    std::int64_t replicas = 0;
    for (const std::size_t pool : pools) {
      TrainingShape& there = uniform.shapes.emplace_back(shape);
      there.pool = pool;
      const Device& device = scenario_.devices.at(scenario_.cluster.pools[pool].node.device);
      const std::int64_t own = most_replicas(scenario_, there);
      if (own == 0 || shape.tensor > std::max(1, device.scale_up_domain)) break;
      replicas += own;
    }
    if (uniform.shapes.size() < pools.size() || replicas == 0) continue;
    uniform.micro_batches = ceil_div(batch, replicas);
    if (uniform.micro_batches > kMostMicroBatches) continue;
    for (const TrainingShape& there : uniform.shapes)
      uniform.end = std::max(uniform.end, end_at(there, uniform.micro_batches));
    all.push_back(std::move(uniform));
  }
  std::stable_sort(all.begin(), all.end(), [](const Uniform& a, const Uniform& b) { return a.end < b.end; });
  std::vector<Uniform> out;
  for (Uniform& uniform : all) {
    if (out.size() == count) break;
    for (const int zero : space_.zero_stages) {
      for (TrainingShape& there : uniform.shapes) there.zero_stage = zero;
      if (!std::all_of(uniform.shapes.begin(), uniform.shapes.end(),
                       [&](const TrainingShape& there) { return fits(there, uniform.micro_batches); }))
        continue;
      out.push_back(std::move(uniform));
      break;
    }
  }
  return out;
}

}  // namespace lindos::sim
