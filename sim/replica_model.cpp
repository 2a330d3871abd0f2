// SPDX-License-Identifier: Apache-2.0
#include "sim/replica_model.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <variant>

#include "scenarios/ceilings.h"
#include "scenarios/error.h"
#include "scenarios/ops_builder.h"
#include "scenarios/quantity_text.h"
#include "scenarios/shard_shape.h"
#include "sim/expert_imbalance.h"
#include "sim/expert_table.h"
#include "sim/stage_spans.h"

namespace lindos::sim {

namespace {

// Works kept before the cache starts afresh; at some kilobytes each this bounds it to tens of
// megabytes.
constexpr std::size_t kCachedWorks = 16384;
constexpr double kTokenIdBytes = 4.0;

// A GPU at its power limit keeps a clock that depends on what ran before: a step after a pause is up to a tenth faster than the
// probe's, which follow each other, and short steps in a row are slower. Standard deviations of log(time) that, with all
// others, hold 80 % of held-out runs of Llama-3.1-8B on an H200 (data/measurements/2026-11-26-h200-{481f6c0,03133b5}-twin.json).
constexpr double kUnseenInPrompts = 0.075;
constexpr double kUnseenInDecodes = 0.03;

// A prompt, a decode and a chunk without logits: ranks whose shards do the same on it do the same on any batch.
const Batch& mixed_batch() {
  static const Batch kBatch{{0, 7, true}, {5, 1, true}, {9, 3, false}};
  return kBatch;
}

const ProfiledDevice& device_or_throw(const std::map<std::string, ProfiledDevice>& devices,
                                      const std::string& pool) {
  const auto found = devices.find(pool);
  if (found == devices.end()) {
    throw Error(ErrorKind::kInput, "plan",
                "the plan takes ranks from pool \"" + pool + "\", which has no device profile");
  }
  return found->second;
}

// By the samples of the profile; without any, a typical one.
std::shared_ptr<const PowerModel> power_model_of(const ProfiledDevice& d) {
  std::optional<PowerModel> model = PowerModel::of(d.profile, d.device.power_max);
  if (!model && d.profile.power.empty()) model = PowerModel::typical(d.profile, d.device.power_idle, d.device.power_max);
  return model ? std::make_shared<const PowerModel>(std::move(*model)) : nullptr;
}

// Final norm, LM head and choice of candidates: what follows from the rows of logits.
bool of_head(const Op& op) {
  return op.layer < 0 && (op.kind == OpKind::kNorm || op.kind == OpKind::kGemm || op.kind == OpKind::kSample ||
                          op.kind == OpKind::kAllGather);
}

// At which a rank of a host copies KV blocks: by the probe, or half of its read bandwidth, since a copy reads and writes.
BytesPerSecond host_copy_rate(const Profile& profile, int threads, BytesPerSecond read_bandwidth) {
  for (const StreamSample& s : profile.stream) {
    if (s.op == kKvCopyLoad && s.threads == threads && s.time > Seconds{0}) return s.bytes / s.time;
  }
  return read_bandwidth / 2.0;
}

}  // namespace

Batch batch_of(const scheduler::Step& step) {
  Batch batch;
  batch.reserve(step.slices.size());
  for (const scheduler::StepSlice& slice : step.slices) {
    batch.push_back(
        {slice.first_position, static_cast<std::int64_t>(slice.tokens.size()), slice.wants_logits});
  }
  return batch;
}

std::size_t ReplicaModel::KeyHash::operator()(const Key& key) const {
  // FNV-1a over the numbers of the key.
  std::uint64_t hash = 14695981039346656037ULL;
  const auto mix = [&hash](std::uint64_t value) { hash = (hash ^ value) * 1099511628211ULL; };
  mix(key.stage);
  mix(static_cast<std::uint64_t>(key.steps));
  for (const Slice& slice : key.batch) {
    mix(static_cast<std::uint64_t>(slice.context));
    mix(static_cast<std::uint64_t>(slice.tokens) * 2 + (slice.wants_logits ? 1 : 0));
  }
  return static_cast<std::size_t>(hash ^ (hash >> 32));
}

ReplicaModel::ReplicaModel(const Model& model, const GroupPlan& group, const Fabric& fabric,
                           const std::map<std::string, ProfiledDevice>& devices_by_pool,
                           const std::string& backend, std::optional<double> expert_skew)
    : model_(model), group_(group), expert_skew_(expert_skew) {
  std::map<std::string, std::int64_t> domains;
  for (const StagePlan& stage : group.stages) {
    for (const RankPlan& rank : stage.ranks)
      domains[rank.pool] = std::max(1, device_or_throw(devices_by_pool, rank.pool).device.scale_up_domain);
  }
  const std::vector<StageSpan> spans = stage_spans(group, fabric, domains);
  const auto all_ranks = static_cast<int>(group.ranks_per_replica());

  for (std::size_t s = 0; s < group.stages.size(); ++s) {
    const StagePlan& plan = group.stages[s];
    Interconnect tensor_path;
    for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
      const ProfiledDevice& d = device_or_throw(devices_by_pool, plan.ranks[r].pool);
      const Interconnect path =
          interconnect_between(d.device, fabric, d.profile, spans[s].first, spans[s].last);
      tensor_path = r == 0 ? path : slower(tensor_path, path);
    }
    tensor_path.backend = backend;
    Stage stage;
    stage.position = spans[s].first;
    std::map<std::string, std::shared_ptr<const OperatorCost>> costs;
    std::map<std::string, std::shared_ptr<const PowerModel>> powers;
    for (const RankPlan& rank_plan : plan.ranks) {
      const ProfiledDevice& d = device_or_throw(devices_by_pool, rank_plan.pool);
      auto name = std::find(device_names_.begin(), device_names_.end(), d.device.name);
      auto& cost = costs[d.device.name];
      if (!cost) cost = std::make_shared<const OperatorCost>(d.profile, tensor_path);
      if (name == device_names_.end()) {
        name = device_names_.insert(name, d.device.name);
        device_costs_.push_back(cost);
      }
      Rank rank{cost, 1, is_host(d.device), !d.profile.experts.empty(), nullptr, Watts{0}};
      if (!rank.is_host) {
        const auto [power, fresh] = powers.try_emplace(d.device.name);
        if (fresh) power->second = power_model_of(d);
        rank.power = power->second;
      }
      double share = 1.0;
      if (rank.is_host) {
        const int cores = std::max(1, d.profile.cores);
        rank.threads = rank_plan.threads > 0 ? rank_plan.threads : std::max(1, cores / all_ranks);
        share = static_cast<double>(rank.threads) / cores;
      }
      stage.ceilings.push_back({static_cast<std::size_t>(name - device_names_.begin()),
                                matrix_rate_of(d.profile, group.weight_dtype) * share, d.profile.read_bandwidth * share,
                                rank.power ? rank.power->limit() - rank.power->idle() : Watts{0}});
      // What a node draws at rest counts with the catalogue's idle power, whatever the samples say.
      if (rank.power) rank.at_rest = std::max(rank.power->idle(), d.device.power_idle);
      if (rank.power && d.cap <= rank.at_rest) {
        throw Error(ErrorKind::kInfeasible, "device \"" + d.device.name + "\"",
                    "a limit of " + format(d.cap) + " is not above the " + format(rank.at_rest) + " that its profile measured idle");
      }
      cap_rank(stage.ceilings.back(), rank, d.cap);
      if (!stage.ranks.empty() && (stage.ceilings.back().device != stage.ceilings.front().device ||
                                   rank.threads != stage.ranks.front().threads)) {
        stage.alike = false;
      }
      stage.ranks.push_back(std::move(rank));
    }
    const std::size_t next = (s + 1) % group.stages.size();
    const ProfiledDevice& here = device_or_throw(devices_by_pool, plan.ranks.front().pool);
    const ProfiledDevice& there =
        device_or_throw(devices_by_pool, group.stages[next].ranks.front().pool);
    const auto path_of = [&](const ProfiledDevice& d) {
      return interconnect_between(d.device, fabric, d.profile, spans[s].first, spans[next].first);
    };
    stage.path = slower(path_of(here), path_of(there));
    if (group.stages.size() > 1 && stage.path.bandwidth.value() <= 0.0) {
      throw Error(ErrorKind::kInfeasible, "plan",
                  "stage " + std::to_string(s) + " has no link to stage " + std::to_string(next) +
                      ": device \"" + here.device.name +
                      "\" states no scale-out bandwidth and both are not in one scale-up domain");
    }
    if (group.limits.kv_offload > Bytes{0}) {
      stage.block_copy = block_copy_of(plan, s, stage, devices_by_pool);
      const bool host = std::any_of(stage.ranks.begin(), stage.ranks.end(), [](const Rank& rank) { return rank.is_host; });
      if (!host) stage.copied_layers = std::max<std::int64_t>(1, plan.layers.size());
    }
    stages_.push_back(std::move(stage));
    find_unlike(s);
  }
  step_overhead_ = device_or_throw(devices_by_pool, group.stages.front().ranks.front().pool)
                       .profile.step_overhead;
  power_ = ReplicaPower{};
  for (const Stage& stage : stages_) {
    for (std::size_t r = 0; r < stage.ranks.size(); ++r) {
      const Rank& rank = stage.ranks[r];
      if (!rank.power) power_.reset();
      if (!power_) break;
      const RankCeiling& ceiling = stage.ceilings[r];
      power_->idle += rank.power->idle();
      power_->limit += rank.power->idle() + std::min(ceiling.added_limit, ceiling.added_cap);
      power_->sigma = std::max(power_->sigma, rank.power->sigma());
      power_->sampled = power_->sampled && rank.power->sampled();
    }
  }
  composed_ = true;
  for (std::size_t s = 0; s < stages_.size(); ++s) {
    const ProfiledDevice& d = device_or_throw(devices_by_pool, group.stages[s].ranks.front().pool);
    std::vector<StepCompositions> compositions;
    for (int steps = 1; steps <= static_cast<int>(stages_.size()); ++steps) {
      compositions.push_back(compose(d.profile, s, steps));
      composed_ = composed_ && compositions.back().prompts.measured();
    }
    stages_[s].compositions = std::move(compositions);
  }
  if (!model.is_mla()) windows_ = AttentionWindows::of(model);
  for (std::size_t s = 0; windows_ && s < stages_.size(); ++s) find_uniform(s);
  for (std::size_t s = 1; s < stages_.size(); ++s) stages_[s].received_per_token = received_per_token(s);
}

Seconds ReplicaModel::block_copy_of(const StagePlan& plan, std::size_t stage, const Stage& priced,
                                    const std::map<std::string, ProfiledDevice>& devices_by_pool) const {
  Seconds slowest{0};
  for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
    const ProfiledDevice& d = device_or_throw(devices_by_pool, plan.ranks[r].pool);
    const ShardId shard{static_cast<int>(stage), static_cast<int>(r)};
    const Bytes block = static_cast<double>(group_.limits.block_tokens) * kv_bytes_per_token(model_, group_, shard);
    const BytesPerSecond rate = priced.ranks[r].is_host
                                    ? host_copy_rate(d.profile, priced.ranks[r].threads, priced.ceilings[r].bandwidth)
                                    : d.device.host_bandwidth;
    if (rate.value() <= 0.0) {
      throw Error(ErrorKind::kInfeasible, "plan",
                  "kv_offload needs the way from device \"" + d.device.name + "\" to host memory; it states no host_bandwidth");
    }
    slowest = std::max(slowest, block / rate);
  }
  return slowest;
}

void ReplicaModel::find_uniform(std::size_t stage_index) {
  const auto ops_of = [&](std::size_t rank, const Batch& batch) {
    return step_ops(model_, group_, {static_cast<int>(stage_index), static_cast<int>(rank)}, batch);
  };
  const auto attention_of = [](std::vector<Op> ops) {
    std::erase_if(ops, [](const Op& op) {
      return op.kind != OpKind::kAttentionPrefill && op.kind != OpKind::kAttentionDecode;
    });
    return ops;
  };
  Stage& stage = stages_[stage_index];
  if (!stage.alike) return;
  const std::vector<Op> first = attention_of(ops_of(0, mixed_batch()));
  for (const std::size_t r : stage.unlike) {
    if (attention_of(ops_of(r, mixed_batch())) != first) return;
  }
  std::vector<UnitAttention> units;
  for (const bool decodes : {false, true}) {
    // One query that sees itself; a decode sees a key before it as well.
    const std::int64_t keys = decodes ? 2 : 1;
    for (const Op& op : attention_of(ops_of(0, {{keys - 1, 1, false}}))) {
      if (op.tokens != 1 || op.kv_tokens != keys) return;
      const std::size_t window = windows_->index_of(window_of(model_, op.layer));
      const auto same = std::find_if(units.begin(), units.end(), [&](const UnitAttention& u) {
        return u.decodes == decodes && u.window == window;
      });
      if (same != units.end()) {
        same->op.count += op.count;
        continue;
      }
      UnitAttention unit{window, decodes, op};
      unit.op.flop = op.flop / static_cast<double>(keys);
      unit.op.kv_bytes = op.kv_bytes / static_cast<double>(keys);
      units.push_back(unit);
    }
  }
  stage.attention = std::move(units);
}

const Composition& ReplicaModel::composition_of(std::size_t stage, int steps, bool decodes) const {
  const int concurrent = std::min(static_cast<int>(stages_.size()), steps);
  const StepCompositions& of_step = stages_[stage].compositions[static_cast<std::size_t>(concurrent - 1)];
  return decodes ? of_step.decodes : of_step.prompts;
}

ExecutionContext ReplicaModel::context_of(std::size_t stage, std::size_t rank, int steps) const {
  const Rank& r = stages_[stage].ranks[rank];
  const int concurrent = std::min(static_cast<int>(stages_.size()), steps);
  if (!r.is_host) return {};
  return {r.threads, static_cast<int>(stages_[stage].ranks.size()) * concurrent};
}

ReplicaModel::BodyOfStep ReplicaModel::body_of_step(std::int64_t tokens, bool decodes, std::size_t stage, int steps) const {
  const Composition& composition = composition_of(stage, steps, decodes);
  const double in_place = composition.factor(static_cast<double>(tokens));
  BodyOfStep body{price_part({{0, tokens, false}}, stage, steps, in_place), in_place};
  body.work.sigma = composition.sigma(static_cast<double>(tokens));
  return body;
}

StageWork ReplicaModel::head_of_step(std::int64_t rows, std::size_t stage, int steps) const {
  return price_part(Batch(static_cast<std::size_t>(rows), {1, 1, true}), stage, steps, std::nullopt);
}

// The body of a step that does `batch`, or the head where there is no factor for the layers.
StageWork ReplicaModel::price_part(const Batch& batch, std::size_t stage_index, int steps,
                                   std::optional<double> in_place) const {
  const Stage& stage = stages_[stage_index];
  std::vector<std::vector<Op>> ops;
  for (const std::size_t r : stage.unlike) {
    ops.push_back(step_ops(model_, group_, {static_cast<int>(stage_index), static_cast<int>(r)}, batch));
    std::erase_if(ops.back(), [&](const Op& op) {
      const bool attention = op.kind == OpKind::kAttentionPrefill || op.kind == OpKind::kAttentionDecode;
      return attention || of_head(op) == in_place.has_value();
    });
  }
  const ExecutionContext context = context_of(stage_index, 0, steps);
  StageWork work = make_stage_work(ops, [&](std::size_t, const Op& op) {
    Priced priced = price_or_throw(stage.ranks.front(), op, context);
    if (op.layer >= 0) priced.time *= in_place.value_or(1.0);
    return priced;
  });
  spread_over_ranks(stage, work);
  return work;
}

void ReplicaModel::attention_of_step(const StepTotals& totals, std::size_t stage_index, int steps, double in_place,
                                     std::vector<PricedOp>& into) const {
  into.clear();
  const Stage& stage = stages_[stage_index];
  const ExecutionContext context = context_of(stage_index, 0, steps);
  for (const UnitAttention& unit : stage.attention) {
    const AttentionWork& work = unit.decodes ? totals.decode[unit.window] : totals.prefill[unit.window];
    if (work.tokens == 0) continue;
    Op op = unit.op;
    op.tokens = work.tokens;
    op.kv_tokens = work.keys;
    op.flop = unit.op.flop * static_cast<double>(work.pairs);
    op.kv_bytes = unit.op.kv_bytes * static_cast<double>(work.keys);
    op.activation_bytes = unit.op.activation_bytes * static_cast<double>(work.tokens);
    const Priced priced = price_or_throw(stage.ranks.front(), op, context);
    const auto count = static_cast<double>(op.count);
    into.push_back({priced.family, priced.tier, 0, priced.time * (in_place * count), op.flop * count,
                    op.bytes() * count, (op.weight_bytes + op.kv_bytes) * count, priced.power});
  }
}

PowerWork ReplicaModel::power_work(const PowerModel& power, const std::vector<PricedOp>& ops) {
  PowerWork work;
  for (const PricedOp& op : ops) {
    if (op.family != Family::kHost) power.count(work, op.power, op.time, op.flop, op.bytes);
  }
  return work;
}

void ReplicaModel::find_unlike(std::size_t stage_index) {
  Stage& stage = stages_[stage_index];
  std::vector<std::vector<Op>> ops;  // of the unlike ones
  for (std::size_t r = 0; r < stage.ranks.size(); ++r) {
    std::vector<Op> own = step_ops(model_, group_, {static_cast<int>(stage_index), static_cast<int>(r)}, mixed_batch());
    std::size_t same = 0;
    for (; same < stage.unlike.size(); ++same) {
      const Rank& other = stage.ranks[stage.unlike[same]];
      if (ops[same] == own && other.cost == stage.ranks[r].cost && other.threads == stage.ranks[r].threads) break;
    }
    stage.priced_as.push_back(same);
    if (same < stage.unlike.size()) continue;
    stage.unlike.push_back(r);
    ops.push_back(std::move(own));
  }
}

ReplicaModel::StepCompositions ReplicaModel::compose(const Profile& profile, std::size_t stage_index, int steps) const {
  const Stage& stage = stages_[stage_index];
  const StagePlan& plan = group_.stages[stage_index];
  const auto timed_here = [&](const StageSample& sample) {
    if (sample.weight_dtype != group_.weight_dtype || sample.kv_dtype != group_.kv_dtype ||
        sample.hidden != model_.hidden || sample.head_dim != model_.head_dim ||
        sample.stages_at_once != steps || sample.ranks.size() != plan.ranks.size()) {
      return false;
    }
    for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
      const StageRank own =
          stage_rank(model_, group_, {static_cast<int>(stage_index), static_cast<int>(r)}, stage.ranks[r].threads);
      // The samples' device is the first rank's.
      if (!(sample.ranks[r] == own) || stage.ceilings[r].device != stage.ceilings[0].device) return false;
    }
    return true;
  };
  std::vector<CompositionPoint> all;
  std::vector<CompositionPoint> decodes;
  std::vector<CompositionPoint> prompts;
  for (const StageSample& sample : profile.stages) {
    if (!timed_here(sample)) continue;
    const Batch batch(static_cast<std::size_t>(sample.sequences),
                      {sample.context, sample.tokens, false});
    StageWork layers = price_stage(batch, stage_index, steps, Part::kLayers);
    layers.added.clear();  // the samples knew no cap of the cluster
    const double share = static_cast<double>(sample.layers) / static_cast<double>(plan.layers.size());
    const Seconds priced = compute_time(layers, stage.ceilings, Draw{}) * share;
    if (priced.count() <= 0.0) continue;
    const CompositionPoint point{static_cast<double>(sample.sequences * sample.tokens), sample.time / priced,
                                 sample.spread};
    all.push_back(point);
    (sample.tokens == 1 ? decodes : prompts).push_back(point);
  }
  // A CPU's probe takes one prompt: too few for a line of their own, and there both kinds run the same kernels.
  constexpr std::size_t kLine = 2;
  if (decodes.size() < kLine || prompts.size() < kLine) return {Composition(all), Composition(all)};
  return {Composition(std::move(decodes), kUnseenInDecodes), Composition(std::move(prompts), kUnseenInPrompts)};
}

void ReplicaModel::cap_rank(RankCeiling& ceiling, const Rank& rank, Watts cap) {
  if (!rank.power || cap >= rank.power->limit()) return;
  // A planner's limit may lie below what this profile measured idle: next to nothing is left then.
  ceiling.added_cap = std::min(ceiling.added_cap, std::max(Watts{1}, cap - rank.at_rest));
  ceiling.power_sigma = rank.power->sigma();
}

std::vector<RankCeiling> ReplicaModel::ranks_under(std::size_t stage, Watts limit) const {
  std::vector<RankCeiling> ranks = stages_[stage].ceilings;
  for (std::size_t r = 0; r < ranks.size(); ++r) cap_rank(ranks[r], stages_[stage].ranks[r], limit);
  return ranks;
}

FlopPerSecond ReplicaModel::peak() const {
  FlopPerSecond sum{0};
  for (const Stage& stage : stages_) {
    for (const RankCeiling& rank : stage.ceilings) sum += rank.peak;
  }
  return sum;
}

BytesPerSecond ReplicaModel::bandwidth() const {
  BytesPerSecond sum{0};
  for (const Stage& stage : stages_) {
    for (const RankCeiling& rank : stage.ceilings) sum += rank.bandwidth;
  }
  return sum;
}

double ReplicaModel::spread(std::size_t device, Family family) const {
  const bool kernel = family != Family::kHost && family != Family::kCollective;
  return kernel && composed_ ? 0.0 : device_costs_[device]->spread(family);
}

// A layer takes as long as on the rank that its tokens choose most, which is another one in each layer: all are priced as it
// is. Samples hold that of their own skew.
Op ReplicaModel::on_fullest_rank(const Op& op, const Rank& rank) const {
  const bool routed = op.kind == OpKind::kMoeGemm || op.kind == OpKind::kActivation;
  if (!expert_skew_ || !routed || op.experts <= 0 || op.experts >= model_.moe.experts) return op;
  const auto pairs = static_cast<double>(op.kind == OpKind::kMoeGemm ? op.m : op.tokens);
  const std::int64_t ranks = std::llround(static_cast<double>(model_.moe.experts) / static_cast<double>(op.experts));
  const double tokens = pairs * static_cast<double>(ranks) / model_.moe.top_k;
  const auto fullest = [&](double skew) { return fullest_rank(model_.moe, ranks, tokens, skew); };
  const double more = fullest(*expert_skew_) / (rank.samples_experts ? fullest(kSampledExpertSkew) : 1.0);
  Op fuller = op;
  fuller.m = std::llround(static_cast<double>(op.m) * more);
  fuller.flop = op.flop * more;
  fuller.activation_bytes = op.activation_bytes * more;
  return fuller;
}

Priced ReplicaModel::price_or_throw(const Rank& rank, const Op& op,
                                    ExecutionContext context) const {
  const Price price = rank.cost->price(on_fullest_rank(op, rank), group_.weight_dtype, context);
  if (const auto* miss = std::get_if<Miss>(&price)) {
    throw Error(ErrorKind::kInfeasible, "device profile of \"" + miss->device + "\"",
                "cannot price " + miss->key + " (" + miss->family + "): " + miss->reason);
  }
  return std::get<Priced>(price);
}

void ReplicaModel::spread_over_ranks(const Stage& stage, StageWork& work) {
  if (stage.unlike.size() == stage.ranks.size()) return;
  std::vector<std::vector<PricedOp>> all;
  for (const std::size_t i : stage.priced_as) all.push_back(work.ranks[i]);
  work.ranks = std::move(all);
}

StageWork ReplicaModel::price_stage(const Batch& batch, std::size_t stage_index, int steps,
                                    Part part) const {
  const Stage& stage = stages_[stage_index];
  // Folding moves equal replicated work between segments. Between alike ranks that changes no
  // maximum; between unlike ones it would, so those keep every layer.
  const OpOptions options{.fold_layers = stage.alike, .expert_skew = 0.0};
  std::vector<std::vector<Op>> ops;
  for (const std::size_t r : stage.unlike) {
    ops.push_back(step_ops(model_, group_, {static_cast<int>(stage_index), static_cast<int>(r)},
                           batch, options));
    if (part == Part::kLayers)
      std::erase_if(ops.back(), [](const Op& op) { return op.layer < 0; });
  }
  double tokens = 0.0;
  for (const Slice& slice : batch) tokens += static_cast<double>(slice.tokens);
  const bool decodes = std::all_of(batch.begin(), batch.end(), [](const Slice& s) { return s.is_decode(); });
  // Empty while the compositions themselves are made.
  const Composition composition =
      stage.compositions.empty() ? Composition() : composition_of(stage_index, steps, decodes);
  const double in_place = composition.factor(tokens);
  StageWork work = make_stage_work(ops, [&](std::size_t i, const Op& op) {
    const std::size_t r = stage.unlike[i];
    Priced priced = price_or_throw(stage.ranks[r], op, context_of(stage_index, r, steps));
    if (op.layer >= 0) priced.time *= in_place;
    return priced;
  });
  spread_over_ranks(stage, work);
  work.sigma = composition.sigma(tokens);
  for (std::size_t r = 0; power_ && r < work.ranks.size(); ++r) {
    const PowerModel& power = *stage.ranks[r].power;
    work.added.push_back(power.added(power_work(power, work.ranks[r])));
  }
  return work;
}

Bytes ReplicaModel::received_per_token(std::size_t stage) const {
  Bytes most{0};
  for (std::size_t r = 0; r < stages_[stage].ranks.size(); ++r) {
    for (const Op& op : step_ops(model_, group_, {static_cast<int>(stage), static_cast<int>(r)}, {{0, 1, false}})) {
      if (op.kind == OpKind::kSendRecv) most = std::max(most, op.message_bytes);
    }
  }
  return most;
}

Bytes ReplicaModel::sent_bytes(const Batch& batch, std::size_t stage) const {
  if (stage + 1 == stages_.size()) {
    const auto ids = std::count_if(batch.begin(), batch.end(), [](const Slice& s) { return s.wants_logits; });
    return Bytes(kTokenIdBytes * static_cast<double>(ids));
  }
  std::int64_t tokens = 0;
  for (const Slice& slice : batch) tokens += slice.tokens;
  return stages_[stage + 1].received_per_token * static_cast<double>(tokens);
}

const StageWork& ReplicaModel::work(const Batch& batch, std::size_t stage, int steps) {
  Key key{stage, std::min(static_cast<int>(stages_.size()), steps), batch};
  const auto found = cache_.find(key);
  if (found != cache_.end()) return found->second;
  if (cache_.size() >= kCachedWorks) cache_.clear();
  StageWork priced = price_stage(batch, stage, key.steps, Part::kStep);
  return cache_.emplace(std::move(key), std::move(priced)).first->second;
}

}  // namespace lindos::sim
