// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/serving_point.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include "scenarios/balance.h"
#include "scenarios/text_layout.h"
#include "sim/kv_transfer.h"
#include "sim/normal_distribution.h"

namespace lindos::sim {

namespace {

constexpr double kLargestBatch = 1024.0;
constexpr int kHalvings = 40;

// One round: every stage has worked on every micro-batch once (sim/closed_serving.cpp). [limit].
std::vector<double> periods(ReplicaModel& replica, const Batch& micro_batch, std::size_t micro_batches,
                            const Draw& draw, const std::vector<Watts>& limits) {
  const int steps = static_cast<int>(std::min(micro_batches, replica.stages()));
  std::vector<double> latency(limits.size(), 0.0);
  std::vector<double> slowest(limits.size(), 0.0);
  for (std::size_t s = 0; s < replica.stages(); ++s) {
    double fixed = s == 0 ? replica.step_overhead().count() : 0.0;
    if (replica.stages() > 1) fixed += replica.path(s).transfer(replica.sent_bytes(micro_batch, s)).count();
    const StageWork& work = replica.work(micro_batch, s, steps);
    for (std::size_t l = 0; l < limits.size(); ++l) {
      const double period = fixed + compute_time(work, replica.ranks_under(s, limits[l]), draw).count();
      latency[l] += period;
      slowest[l] = std::max(slowest[l], period);
    }
  }
  for (std::size_t l = 0; l < limits.size(); ++l)
    latency[l] = std::max(latency[l], slowest[l] * static_cast<double>(micro_batches));
  return latency;
}

// "TP8 PP2"; empty for one device.
std::string cut_text(std::int64_t tensor, int stages) {
  std::string out;
  if (tensor > 1) out += "TP" + std::to_string(tensor);
  if (stages > 1) out += (out.empty() ? "PP" : " PP") + std::to_string(stages);
  return out;
}

// Even parts of `layers` for so many stages, in order, from the layer `begin` on.
void deal_evenly(std::vector<StagePlan>& stages, std::size_t first, std::size_t count, std::int64_t begin, std::int64_t layers) {
  const auto parts = static_cast<std::int64_t>(count);
  for (std::int64_t s = 0; s < parts; ++s)
    stages[first + static_cast<std::size_t>(s)].layers = {begin + layers * s / parts, begin + layers * (s + 1) / parts};
}

}  // namespace

const GroupPlan* pattern_of(const Scenario& scenario, const std::string& pool) {
  for (const GroupPlan& group : scenario.plan.groups) {
    if (group.stages.front().ranks.front().pool == pool) return &group;
  }
  return scenario.plan.groups.empty() ? nullptr : &scenario.plan.groups.front();
}

std::string text_of(const ServingShape& shape) {
  std::string out = cut_text(shape.tensor, shape.stages);
  if (shape.other) {
    if (out.empty()) out = "one device";
    const std::string others = cut_text(shape.other->tensor, shape.other->stages);
    out += " with " + std::to_string(shape.other->layers_before) + " layers and " + (others.empty() ? "one device" : others) +
           " with " + std::to_string(shape.other->layers);
  }
  if (!out.empty()) out += " ";
  out += name_of(shape.weights);
  if (shape.dealt) out += ", experts dealt out";
  if (shape.role == Role::kDecode) return out + ", decodes only";
  if (shape.role == Role::kPrefill) out += ", prompts only";
  out += ", steps of " + std::to_string(shape.budget) + " tokens";
  if (shape.kv_offload.value() > 0.0) out += ", " + number_text(shape.kv_offload.value() / 1e9, 4) + " GB of host memory for KV";
  return out;
}

std::string short_text_of(const ServingShape& shape) {
  std::string out = cut_text(shape.tensor, shape.stages);
  if (out.empty()) out = "one device";
  if (shape.other) {
    const std::string others = cut_text(shape.other->tensor, shape.other->stages);
    out += " and " + (others.empty() ? "one device" : others);
  }
  if (shape.role == Role::kPrefill) out += " prompts";
  if (shape.role == Role::kDecode) out += " decodes";
  return out;
}

std::string pools_text(const Scenario& scenario, const ServingShape& shape) {
  const std::vector<Pool>& pools = scenario.cluster.pools;
  return pools[shape.pool].name + (shape.other ? " and " + pools[shape.other->pool].name : "");
}

bool ServingShape::operator<(const ServingShape& b) const {
  const auto fields = [](const ServingShape& s) {
    return std::tuple(s.pool, s.tensor, s.stages, s.weights, s.kv, s.budget, s.role, s.kv_offload.value(), s.dealt, s.other);
  };
  return fields(*this) < fields(b);
}

GroupPlan group_of(const Scenario& scenario, const ServingShape& shape, std::int64_t replicas) {
  const Pool& pool = scenario.cluster.pools[shape.pool];
  const GroupPlan* pattern = pattern_of(scenario, pool.name);
  EngineLimits limits;
  if (pattern != nullptr) limits = pattern->limits;
  limits.max_batched_tokens = shape.budget;
  limits.prefill_chunk = shape.budget;
  limits.max_sequences = static_cast<std::int64_t>(kLargestBatch);
  limits.kv_blocks = 0;
  limits.block_tokens = kGpuBlockTokens;
  const std::int64_t longest = longest_request(scenario.workload.serving);
  limits.max_context = std::min(scenario.model.max_positions, longest);
  Plan plan = make_plan(scenario.model, pool.name, shape.stages,
                        std::vector<double>(static_cast<std::size_t>(shape.tensor), 1.0), {}, shape.weights, limits,
                        kGpuGranule);
  GroupPlan group = std::move(plan.groups.front());
  if (shape.other) {
    const Pool& others = scenario.cluster.pools[shape.other->pool];
    const Plan there = make_plan(scenario.model, others.name, 1,
                                 std::vector<double>(static_cast<std::size_t>(shape.other->tensor), 1.0), {}, shape.weights,
                                 limits, kGpuGranule);
    const auto first = static_cast<std::size_t>(shape.stages);
    const auto count = static_cast<std::size_t>(shape.other->stages);
    group.stages.insert(group.stages.end(), count, there.groups.front().stages.front());
    deal_evenly(group.stages, 0, first, 0, shape.other->layers_before);
    deal_evenly(group.stages, first, count, shape.other->layers_before, shape.other->layers);
  }
  group.name = pool.name;
  group.replicas = replicas;
  group.kv_dtype = shape.kv;
  group.role = shape.role;
  group.limits.kv_offload = shape.kv_offload;
  for (StagePlan& stage : group.stages) {
    const auto ranks = static_cast<std::int64_t>(stage.ranks.size());
    for (std::int64_t r = 0; r < ranks && scenario.model.is_moe(); ++r) {
      const std::int64_t experts = scenario.model.moe.experts;
      stage.ranks[static_cast<std::size_t>(r)].share.experts =
          shape.dealt ? Range{experts * r / ranks, experts * (r + 1) / ranks} : Range{0, experts};
    }
  }
  return group;
}

Slo slo_of_part(const Slo& slo, Role role) {
  Slo part = slo;
  if (role != Role::kBoth && slo.ttft.count() > 0.0 && slo.tpot.count() > 0.0) part.percentile = std::sqrt(slo.percentile);
  return part;
}

ServingPrices::ServingPrices(ServingGroup& group, const ServingWorkload& workload, const Draw& draw,
                             const std::vector<Watts>& limits)
    : group_(group),
      role_(group.plan.role),
      prompt_tokens_(std::max(1.0, mean_tokens(workload).prompt)),
      output_tokens_(std::max(2.0, mean_tokens(workload).output)) {
  const scheduler::Limits& engine = group.limits;
  const double held = role_ == Role::kPrefill ? prompt_tokens_ : prompt_tokens_ + output_tokens_ - 1.0;
  const double blocks = std::ceil(held / static_cast<double>(engine.block_tokens));
  fit_ = std::min({std::floor(static_cast<double>(engine.kv_blocks) / blocks), static_cast<double>(engine.max_sequences),
                   static_cast<double>(engine.max_batched_tokens), kLargestBatch});
  if (fit_ < 1.0) return;
  const auto stages = static_cast<std::size_t>(group.replica.stages());
  if (role_ != Role::kBoth) {
    // To or from a replica like itself: the others are not known yet, and the slower side counts.
    transfer_s_ = kv_path(group, group).time(static_cast<std::int64_t>(std::llround(prompt_tokens_))).count();
    if (!std::isfinite(transfer_s_)) fit_ = 0.0;
    if (fit_ < 1.0) return;
  }
  if (role_ == Role::kPrefill) {
    fit_ = 1.0;
  } else {
    times_.resize(limits.size());
    const auto context = static_cast<std::int64_t>(std::llround(prompt_tokens_ + 0.5 * output_tokens_));
    for (double size = 1.0;; size = std::min(2.0 * size, fit_)) {
      const std::size_t micro = std::min(stages, static_cast<std::size_t>(size));
      const auto each = static_cast<std::size_t>(std::ceil(size / static_cast<double>(micro)));
      sizes_.push_back(size);
      const Batch batch(each, Slice{context, 1, true});
      const std::vector<double> rounds = periods(group.replica, batch, micro, draw, limits);
      for (std::size_t l = 0; l < limits.size(); ++l) times_[l].push_back(rounds[l]);
      if (size >= fit_) break;
    }
  }
  if (role_ == Role::kDecode) return;
  const double chunk = std::min(prompt_tokens_, static_cast<double>(engine.max_batched_tokens));
  const auto cached = static_cast<std::int64_t>(std::llround(0.5 * (prompt_tokens_ - chunk)));
  const Batch prompt = {Slice{cached, static_cast<std::int64_t>(std::llround(chunk)), true}};
  // Prompts follow each other through the stages.
  for (const double round : periods(group.replica, prompt, stages, draw, limits))
    prompt_s_.push_back(round / static_cast<double>(stages) * (prompt_tokens_ / chunk));
}

double ServingPrices::decode(double batch, std::size_t limit) const {
  const std::vector<double>& times = times_[limit];
  if (sizes_.size() == 1 || batch <= sizes_.front()) return times.front();
  const auto above = std::upper_bound(sizes_.begin() + 1, sizes_.end() - 1, batch);
  const auto i = static_cast<std::size_t>(above - sizes_.begin());
  const double share = (batch - sizes_[i - 1]) / (sizes_[i] - sizes_[i - 1]);
  return times[i - 1] + share * (times[i] - times[i - 1]);
}

// The wait is nearly exponential beyond the share that does not wait at all.
Seconds ServingPrices::queued(double rate, double service, const Slo& slo) const {
  const double load = std::min(0.999, rate * service);
  const double mean = load * service / (2.0 * (1.0 - load));
  const double tail = std::max(1e-6, 1.0 - slo.percentile);
  return Seconds(load > tail ? mean / load * std::log(load / tail) : 0.0);
}

ServingPoint ServingPrices::at(double batch, const Slo& slo, std::size_t limit) const {
  return point(batch, slo_of_part(slo, role_), limit);
}

ServingPoint ServingPrices::point(double batch, const Slo& own, std::size_t limit) const {
  ++points_;
  const double rounds = output_tokens_ - 1.0;
  ServingPoint point;
  if (!fits()) return point;
  point.batch = batch;
  if (role_ == Role::kPrefill) {
    // The way through the stages takes as many rounds as there are stages, whoever comes behind.
    const double through = prompt_s_[limit] * static_cast<double>(group_.replica.stages());
    point.rate = batch / std::max(prompt_s_[limit], transfer_s_);
    point.ttft = queued(point.rate, prompt_s_[limit], own) + Seconds(through);
    return point;
  }
  const double step = decode(batch, limit);
  if (role_ == Role::kDecode) {
    point.rate = batch / (rounds * step);
    point.tpot = Seconds(step) + (Seconds(transfer_s_) + queued(point.rate, transfer_s_, own)) / rounds;
    return point;
  }
  const double prompt = prompt_s_[limit];
  const double tau = step + batch * prompt / rounds;
  point.tpot = Seconds(tau);
  point.rate = batch / (rounds * tau);
  // Each step that carries part of a prompt carries the decodes as well.
  const double room = std::max(1.0, static_cast<double>(group_.limits.max_batched_tokens) - batch);
  const double steps = prompt_tokens_ / room;
  const double service = prompt + steps * step;
  point.ttft = Seconds(0.5 * tau + prompt + std::max(1.0, steps) * step) + queued(point.rate, service, own);
  return point;
}

bool ServingPrices::keeps(double batch, const Slo& own, std::size_t limit) const {
  // Sequences come and go: the number that decode fluctuates as Poisson's.
  const double spread =
      role_ != Role::kPrefill && own.percentile > 0.5 ? normal_tail_quantile(1.0 - own.percentile) : 0.0;
  if (batch + spread * std::sqrt(batch) > fit_) return false;
  const ServingPoint mean = point(batch, own, limit);
  if (mean.rate * transfer_s_ > kMostOfLink) return false;
  // A request's pace is a mean over its own tokens, which sees half of the fluctuation.
  const ServingPoint busy = point(std::min(fit_, batch + 0.5 * spread * std::sqrt(batch)), own, limit);
  return (own.tpot.count() <= 0.0 || busy.tpot <= own.tpot) && (own.ttft.count() <= 0.0 || mean.ttft <= own.ttft);
}

ServingPoint ServingPrices::most(const Slo& slo, std::size_t limit) const {
  if (!fits()) return {};
  const Slo own = slo_of_part(slo, role_);
  double low = 0.01;
  if (!keeps(low, own, limit)) return {};
  double high = fit_;
  for (int i = 0; i < kHalvings && high - low > 1e-4 * high; ++i) {
    const double middle = 0.5 * (low + high);
    (keeps(middle, own, limit) ? low : high) = middle;
  }
  return point(low, own, limit);
}

}  // namespace lindos::sim
