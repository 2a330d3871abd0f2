// SPDX-License-Identifier: Apache-2.0
#include "sim/training/make_training_job.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "scenarios/error.h"
#include "scenarios/plan_pools.h"
#include "scenarios/training_memory.h"
#include "scenarios/training_ops.h"
#include "scenarios/training_plan.h"
#include "sim/datasheet.h"
#include "sim/operator_cost.h"
#include "sim/power_limit.h"
#include "sim/replica_model.h"
#include "sim/stage_spans.h"
#include "sim/stage_work.h"
#include "sim/training/gradient_exchange.h"
#include "sim/uncertainty.h"

namespace lindos::sim {

namespace {

// A device type of one pool, with what prices it.
struct PricedPool {
  const Pool* pool = nullptr;
  ProfiledDevice device;
};

const Pool& pool_or_throw(const Scenario& scenario, const std::string& name) {
  for (const Pool& pool : scenario.cluster.pools) {
    if (pool.name == name) return pool;
  }
  throw Error(ErrorKind::kInput, "plan", "the plan names pool \"" + name + "\", which the cluster lacks");
}

const Device& device_of(const Scenario& scenario, const Pool& pool) {
  return scenario.devices.at(pool.node.device);
}

PricedPool price_pool(const Scenario& scenario, const std::string& name, Dtype dtype,
                      const std::map<std::string, Profile>& profiles) {
  const Pool& pool = pool_or_throw(scenario, name);
  const Device& device = device_of(scenario, pool);
  const auto given = profiles.find(device.name);
  return {&pool, {device, given != profiles.end() ? given->second : datasheet_profile(device, dtype)}};
}

// Prices the stages of one group.
class GroupPricer {
 public:
  // `limits`: by pool, of each device.
  GroupPricer(const Scenario& scenario, const GroupPlan& group,
              const std::map<std::string, Profile>& profiles, std::map<std::string, Watts> limits)
      : scenario_(scenario), group_(group), limits_(std::move(limits)) {
    for (const StagePlan& stage : group.stages) {
      for (const RankPlan& rank : stage.ranks) {
        if (!pools_.contains(rank.pool))
          pools_.emplace(rank.pool, price_pool(scenario, rank.pool, group.weight_dtype, profiles));
      }
    }
    std::map<std::string, std::int64_t> domains;
    for (const auto& [name, pool] : pools_) domains[name] = std::max(1, pool.device.device.scale_up_domain);
    spans_ = stage_spans(group, scenario.cluster.fabric, domains);
    for (const auto& [name, devices] : devices_per_replica(group)) exchange_.emplace(name, exchange_paths(pools_.at(name), devices));
  }

  [[nodiscard]] const PricedPool& first_pool() const {
    return pools_.at(group_.stages.front().ranks.front().pool);
  }

  // `slowest_nic`: of all that exchange.
  [[nodiscard]] StageJob stage(std::size_t index, BytesPerSecond slowest_nic) {
    const StagePlan& plan = group_.stages[index];
    ExchangePaths exchange = exchange_.at(plan.ranks.front().pool);
    exchange.paths.inter = slowest_nic;
    const RankCosts costs = costs_of(index);
    StageJob job;
    job.pool = plan.ranks.front().pool;
    job.devices = devices_of(plan);
    job.devices_per_node = pools_.at(job.pool).pool->node.devices;
    for (const RankCeiling& rank : costs.ceilings)
      job.peak += rank.peak * static_cast<double>(group_.training.context_parallel);
    // The stage's slowest clock under the power limits counts: all its ranks end a pass together.
    double clock = 1.0;
    for (const RankPlan& rank : plan.ranks) {
      const PricedPool& own = pools_.at(rank.pool);
      clock = std::min(clock, clock_under(own.device.device, limits_.at(rank.pool)));
    }
    for (int chunk = 0; chunk < group_.training.virtual_stages; ++chunk) {
      ChunkWork work = chunk_work(index, chunk, costs);
      work.forward = work.forward.at_clock(clock);
      work.backward = work.backward.at_clock(clock);
      job.chunks.push_back(std::move(work));
    }
    job.next = path_to_next(index);
    const StepEnd end = step_end(scenario_.model, group_, {static_cast<int>(index), 0},
                                 parameter_copies(scenario_.plan), micro_batches(),
                                 scenario_.workload.training.frozen_weights);
    const Range layers = chunk_layers(group_, static_cast<int>(index), 0);
    job.exchange = gradient_exchange(end, group_.training, exchange,
                                     {.backward = job.chunks.back().backward.total(),
                                      .forward = job.chunks.front().forward.total(),
                                      .layers = std::max<std::int64_t>(1, layers.size()),
                                      .chunks = group_.training.virtual_stages,
                                      .stages = static_cast<int>(group_.stages.size())});
    job.optimizer = priced({end.optimizer}, costs);
    return job;
  }

  [[nodiscard]] BytesPerSecond slowest_nic() const {
    BytesPerSecond slowest = exchange_.begin()->second.paths.inter;
    for (const auto& [pool, exchange] : exchange_) slowest = std::min(slowest, exchange.paths.inter);
    return slowest;
  }

  [[nodiscard]] std::int64_t micro_batches() const {
    return micro_batches_of(scenario_.plan, group_, scenario_.workload.training);
  }

  // Of log(time) over everything priced so far: families err by themselves, each by one factor.
  [[nodiscard]] double kernel_sigma() const {
    double variance = 0.0;
    double seconds = 0.0;
    for (std::size_t f = 0; f < kFamilyCount; ++f) {
      const auto family = static_cast<Family>(f);
      if (family == Family::kCollective) continue;
      double own = 0.0;
      for (const double t : totals_.seconds[f]) own += t;
      variance += std::pow(own * tier_sigma(totals_, family), 2.0);
      seconds += own;
    }
    return seconds > 0.0 ? std::sqrt(variance) / seconds : 0.0;
  }
  [[nodiscard]] double link_sigma() const { return tier_sigma(totals_, Family::kCollective); }

 private:
  // What one stage's ranks cost and where their messages go.
  struct RankCosts {
    std::vector<std::shared_ptr<const OperatorCost>> ranks;
    std::vector<RankCeiling> ceilings;
    Interconnect context;       // to the neighbour in the ring
    Interconnect expert_local;  // to expert ranks inside the scale-up domain
    Interconnect expert_remote;
    double expert_remote_share = 0.0;
    bool alike = true;
  };

  // Ranks with the same parameters as a stage there that share a scale-up domain, and an array. Replicas lie one behind the
  // other in each pool; `replica`: devices that one has there.
  [[nodiscard]] ExchangePaths exchange_paths(const PricedPool& pool, std::int64_t replica) const {
    const auto within = [&](std::int64_t devices) {
      return std::max<std::int64_t>(1, devices / replica) * group_.training.context_parallel;
    };
    const std::int64_t array = std::int64_t{pool.pool->node.devices} *
                               std::max(1, pool.pool->nodes_per_rack) *
                               std::max(1, pool.pool->racks_per_array);
    ExchangePaths where;
    where.paths = nccl_paths(pool.device.device, scenario_.cluster.fabric);
    where.arch = nccl_arch(pool.device.device);
    where.ranks_per_node = within(std::max(1, pool.device.device.scale_up_domain));
    where.ranks_per_unit = within(array);
    return where;
  }

  [[nodiscard]] std::int64_t devices_of(const StagePlan& stage) const {
    return static_cast<std::int64_t>(stage.ranks.size()) * group_.training.context_parallel;
  }

  // The slowest path among the stage's devices `first` to `last` of the replica.
  [[nodiscard]] Interconnect path(const StagePlan& stage, std::int64_t first, std::int64_t last) const {
    Interconnect slowest;
    for (std::size_t r = 0; r < stage.ranks.size(); ++r) {
      const ProfiledDevice& d = pools_.at(stage.ranks[r].pool).device;
      const Interconnect own =
          interconnect_between(d.device, scenario_.cluster.fabric, d.profile, first, last);
      slowest = r == 0 ? own : slower(slowest, own);
    }
    return slowest;
  }

  [[nodiscard]] RankCosts costs_of(std::size_t index) const {
    const StagePlan& stage = group_.stages[index];
    const TrainingPlan& plan = group_.training;
    const auto tensor = static_cast<std::int64_t>(stage.ranks.size());
    const StageSpan& span = spans_[index];
    RankCosts costs;
    const Interconnect tensor_path = path(stage, span.first, span.last_of(tensor));
    costs.context = path(stage, span.first, span.last);
    // Expert ranks are the same stage of neighbouring replicas: as many as fit beside each other in one
    // scale-up domain are local, the rest is reached through the NIC.
    const Device& device = pools_.at(stage.ranks.front().pool).device.device;
    const std::int64_t local = std::clamp<std::int64_t>(
        std::max(1, device.scale_up_domain) / devices_of(stage) * plan.context_parallel, 1,
        plan.expert_parallel);
    costs.expert_local = path(stage, 0, 0);
    costs.expert_remote = path(stage, 0, std::max(1, device.scale_up_domain));
    costs.expert_remote_share =
        plan.expert_parallel > 1
            ? static_cast<double>(plan.expert_parallel - local) / static_cast<double>(plan.expert_parallel)
            : 0.0;
    std::map<std::string, std::pair<std::size_t, std::shared_ptr<const OperatorCost>>> by_device;
    for (const RankPlan& rank : stage.ranks) {
      const ProfiledDevice& d = pools_.at(rank.pool).device;
      auto& known = by_device[d.device.name];
      if (!known.second)
        known = {by_device.size() - 1, std::make_shared<const OperatorCost>(d.profile, tensor_path)};
      costs.ranks.push_back(known.second);
      costs.ceilings.push_back({known.first, d.profile.matrix_rate, d.profile.read_bandwidth});
      costs.alike = costs.alike && rank.share.q_heads.size() == stage.ranks.front().share.q_heads.size() &&
                    rank.share.ffn.size() == stage.ranks.front().share.ffn.size() &&
                    rank.share.experts.size() == stage.ranks.front().share.experts.size() &&
                    by_device.size() == 1;
    }
    return costs;
  }

  [[nodiscard]] Interconnect path_to_next(std::size_t index) const {
    const std::size_t next = (index + 1) % group_.stages.size();
    const Interconnect own = path(group_.stages[index], spans_[index].first, spans_[next].first);
    const Interconnect other = path(group_.stages[next], spans_[index].first, spans_[next].first);
    const Interconnect both = slower(own, other);
    if (group_.stages.size() > 1 && both.bandwidth.value() <= 0.0) {
      throw Error(ErrorKind::kInfeasible, "group \"" + group_.name + "\"",
                  "stage " + std::to_string(index) + " has no link to stage " + std::to_string(next) +
                      ": they are not in one scale-up domain, and the scale_out_bandwidth of device \"" +
                      pools_.at(group_.stages[index].ranks.front().pool).device.device.name + "\" or \"" +
                      pools_.at(group_.stages[next].ranks.front().pool).device.device.name +
                      "\" is zero; set it above zero");
    }
    return both;
  }

  // Expert exchange: the local part over NVLink beside the remote part over the NIC (handbook §2.4).
  [[nodiscard]] static Priced all_to_all(const Op& op, const RankCosts& costs) {
    const Bytes remote = op.message_bytes * costs.expert_remote_share;
    const Bytes local = op.message_bytes * (1.0 - costs.expert_remote_share) *
                        (static_cast<double>(op.group - 1) / op.group);
    Seconds time = costs.expert_local.transfer(local);
    if (remote.value() > 0.0) time = std::max(time, costs.expert_remote.transfer(remote));
    return {time, 0.0, Family::kCollective, Tier::kAnalytic};
  }

  [[nodiscard]] Priced price(const Op& op, std::size_t rank, const RankCosts& costs) const {
    if (op.kind == OpKind::kAllToAll && group_.training.expert_parallel > 1) return all_to_all(op, costs);
    if (op.kind == OpKind::kRingExchange)
      // Around the ring every rank passes on the keys and values of all others.
      return {costs.context.transfer(op.message_bytes * (static_cast<double>(op.group - 1) / op.group)), 0.0,
              Family::kCollective, Tier::kAnalytic};
    const Price price = costs.ranks[rank]->price(op, group_.weight_dtype, {});
    if (const auto* miss = std::get_if<Miss>(&price)) {
      throw Error(ErrorKind::kInfeasible, "device profile of \"" + miss->device + "\"",
                  "cannot price " + miss->key + " (" + miss->family + "): " + miss->reason);
    }
    return std::get<Priced>(price);
  }

  // The ops of the stage's ranks as seconds by cause: the ranks' bookings, weighted by peak.
  [[nodiscard]] TimeSplit priced(const std::vector<std::vector<Op>>& ranks, const RankCosts& costs) {
    const StageWork work = make_stage_work(
        ranks, [&](std::size_t rank, const Op& op) { return price(op, rank, costs); });
    Ledger ledger;
    const std::vector<RankCeiling> ceilings(costs.ceilings.begin(),
                                            costs.ceilings.begin() + static_cast<std::ptrdiff_t>(ranks.size()));
    book(work, ceilings, {}, ledger, totals_);
    FlopPerSecond peak{0};
    for (const RankCeiling& rank : ceilings) peak += rank.peak;
    TimeSplit split;
    for (std::size_t i = 0; i < kCauseCount; ++i) {
      const auto cause = static_cast<Cause>(i);
      if (ledger.amount(cause) > 0.0) split.add(cause, Flop(ledger.amount(cause)) / peak);
    }
    return split;
  }

  [[nodiscard]] ChunkWork chunk_work(std::size_t index, int chunk, const RankCosts& costs) {
    // Ranks with equal devices and shares take equal time.
    const std::size_t ranks = costs.alike ? 1 : group_.stages[index].ranks.size();
    std::vector<std::vector<Op>> forward;
    std::vector<std::vector<Op>> recompute;
    std::vector<std::vector<Op>> backward;
    ChunkWork result;
    for (std::size_t r = 0; r < ranks; ++r) {
      MicroBatchWork work =
          micro_batch_work(scenario_.model, group_, scenario_.workload.training,
                           {static_cast<int>(index), static_cast<int>(r)}, chunk);
      forward.push_back(std::move(work.forward));
      recompute.push_back(std::move(work.recompute));
      backward.push_back(std::move(work.backward));
      result.forward_message = std::max(result.forward_message, work.forward_message);
      result.backward_message = std::max(result.backward_message, work.backward_message);
      result.expert_message =
          std::max(result.expert_message, work.expert_message * costs.expert_remote_share);
    }
    result.forward = priced(forward, costs);
    result.backward = priced(backward, costs);
    // Doing a pass again is recomputation, however well its kernels run; its messages are exposed as ever.
    const TimeSplit again = priced(recompute, costs);
    result.backward.add(Cause::kRecompute, again.compute());
    for (std::size_t i = 0; i < kCauseCount; ++i) {
      const auto cause = static_cast<Cause>(i);
      TimeSplit only;
      only.add(cause, again.of(cause));
      if (only.communication().count() > 0.0) result.backward.add(only);
    }
    return result;
  }

  const Scenario& scenario_;
  const GroupPlan& group_;
  std::map<std::string, Watts> limits_;
  std::map<std::string, PricedPool> pools_;
  std::vector<StageSpan> spans_;  // [stage]
  std::map<std::string, ExchangePaths> exchange_;  // by pool
  WorkTotals totals_;
};

}  // namespace

Bytes fullest_training_rank(const Scenario& scenario) {
  Bytes most{0};
  for (const GroupPlan& group : scenario.plan.groups) {
    std::vector<std::vector<Bytes>> memory;
    for (const StagePlan& stage : group.stages) {
      std::vector<Bytes>& row = memory.emplace_back();
      for (const RankPlan& rank : stage.ranks)
        row.push_back(device_of(scenario, pool_or_throw(scenario, rank.pool)).memory);
    }
    const auto answer =
        fits_in_training(scenario.plan, group, scenario.model, scenario.workload.training, memory);
    if (const auto* infeasible = std::get_if<Infeasible>(&answer))
      throw Error(ErrorKind::kInfeasible, "group \"" + group.name + "\"", infeasible->reason);
    most = std::max(most, std::get<FullestRank>(answer).memory.total());
  }
  return most;
}

TrainingJob make_training_job(const Scenario& scenario,
                              const std::map<std::string, Profile>& profiles_by_device) {
  std::vector<GroupPricer> pricers;
  DeviceLimits limits = device_limits(scenario, OtherDevices::kWork);
  for (const GroupPlan& group : scenario.plan.groups) {
    if (group.role != Role::kTrain) {
      throw Error(ErrorKind::kInput, "group \"" + group.name + "\"",
                  "is not for training; the workload is a training job, so every group's role is \"train\"");
    }
    pricers.emplace_back(scenario, group, profiles_by_device, std::move(limits.groups[pricers.size()]));
  }
  // All groups exchange with each other, at the pace of the slowest NIC.
  BytesPerSecond slowest{0};
  for (const GroupPricer& pricer : pricers) {
    const BytesPerSecond own = pricer.slowest_nic();
    slowest = slowest.value() > 0.0 ? std::min(slowest, own) : own;
  }
  TrainingJob job;
  std::map<std::string, std::int64_t> used;  // devices of each pool
  for (std::size_t g = 0; g < pricers.size(); ++g) {
    const GroupPlan& plan = scenario.plan.groups[g];
    const PricedPool& pool = pricers[g].first_pool();
    GroupJob group;
    group.name = plan.name;
    group.pool = pool.pool->name;
    group.device = pool.device.device.name;
    group.first_device = used[group.pool];
    group.replicas = plan.replicas;
    group.micro_batches = pricers[g].micro_batches();
    group.virtual_stages = plan.training.virtual_stages;
    group.expert_replicas =
        std::max<std::int64_t>(1, plan.training.expert_parallel / plan.training.context_parallel);
    job.hierarchical_exchange = job.hierarchical_exchange || plan.training.hierarchical_exchange;
    for (std::size_t s = 0; s < plan.stages.size(); ++s)
      group.stages.push_back(pricers[g].stage(s, slowest));
    group.kernel_sigma = pricers[g].kernel_sigma();
    group.link_sigma = pricers[g].link_sigma();
    for (const Pool& own : scenario.cluster.pools) used[own.name] += group.devices_in(own.name);
    job.groups.push_back(std::move(group));
  }
  job.ranks_in_exchange = parameter_copies(scenario.plan);
  const TrainingWorkload& training = scenario.workload.training;
  job.tokens_per_step = static_cast<double>(training.global_batch) * static_cast<double>(training.sequence);
  return job;
}

}  // namespace lindos::sim
