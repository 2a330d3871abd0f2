// SPDX-License-Identifier: Apache-2.0
#include "sim/serving/measured_scenario.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

#include "scenarios/balance.h"
#include "scenarios/capacity.h"
#include "sim/serving/measured_models.h"

namespace lindos::sim {

namespace {

struct Format {
  std::string_view name;
  std::optional<Dtype> dtype;  // none: as the checkpoint stores them
};
// fp8_block: scales per block of 128 weights; priced as fp8 with one scale.
constexpr std::array kFormats{
    Format{"", std::nullopt},          Format{"bfloat16", Dtype::kBf16}, Format{"bf16", Dtype::kBf16},
    Format{"float16", Dtype::kBf16},   Format{"fp8", Dtype::kFp8},       Format{"fp8_static", Dtype::kFp8},
    Format{"fp8_block", Dtype::kFp8},  Format{"nvfp4", Dtype::kFp4},     Format{"fp4", Dtype::kFp4},
};

struct System {
  std::string_view name, device;
};
constexpr std::array kSystems{System{"h100_sxm", "h100-sxm"}, System{"h200_sxm", "h200-sxm"},
                              System{"gb200", "gb200-nvl72"}, System{"gb200_sxm", "gb200-nvl72"},
                              System{"b200_sxm", "b200-sxm"}};

const Format* find_format(std::string_view name) {
  const auto* found = std::find_if(kFormats.begin(), kFormats.end(), [&](const Format& f) { return f.name == name; });
  return found == kFormats.end() ? nullptr : found;
}

std::int64_t divided_up(std::int64_t whole, std::int64_t parts) { return (whole + parts - 1) / parts; }

// Fills a MeasuredScenario from one row; throws MeasuredMiss where that cannot be done.
class Mapper {
 public:
  Mapper(const MeasuredRow& row, const Catalogue& catalogue) : row_(row), catalogue_(catalogue) {}

  MeasuredScenario run() {
    find_parts();
    find_clients();
    if (row_.aggregated) {
      add(*row_.aggregated, "both");
    } else {
      add(*row_.prefill, "prefill");
      add(*row_.decode, "decode");
    }
    return std::move(out_);
  }

 private:
  void assume(const std::string& text) {
    if (std::find(out_.assumptions.begin(), out_.assumptions.end(), text) == out_.assumptions.end())
      out_.assumptions.push_back(text);
  }
  void guess_devices(const std::string& text) {
    out_.incomplete = true;
    assume(text);
  }

  void find_parts() {
    const EngineClass* engine = find_engine_class(row_.engine);
    if (engine == nullptr) throw MeasuredMiss{"engine \"" + row_.engine + "\" is not known"};
    out_.engine = *engine;
    if (row_.inference_x) {
      // Its command lines schedule beside the device's work.
      out_.engine.step = out_.engine.sequence = out_.engine.layer = Seconds{0};
      out_.engine.request = out_.engine.served_request;
    }
    const std::optional<Model> model = find_measured_model(row_.model, catalogue_);
    if (!model) throw MeasuredMiss{"model \"" + row_.model + "\" is not in the catalogue"};
    model_ = *model;
    std::string_view name = row_.system;
    for (const System& system : kSystems) {
      if (system.name == row_.system) name = system.device;
    }
    const auto device = catalogue_.devices.find(std::string(name));
    if (device == catalogue_.devices.end()) throw MeasuredMiss{"GPU \"" + row_.system + "\" is not in the catalogue"};
    device_ = &device->second;
    format_ = format_of(row_.gemm_format);
    if (model_.is_moe() && !row_.expert_format.empty() && format_of(row_.expert_format) != format_)
      throw MeasuredMiss{"experts and other weights differ in their format"};
    if (row_.gemm_format == "fp8_block" || row_.expert_format == "fp8_block")
      assume("fp8 with scales per block priced as fp8 with one scale");
    if (row_.prompt + row_.output > model_.max_positions && model_.max_positions > 0)
      throw MeasuredMiss{"prompt and output exceed the context of the model"};
  }

  [[nodiscard]] Dtype format_of(const std::string& name) const {
    const Format* format = find_format(name);
    if (format == nullptr) throw MeasuredMiss{"number format \"" + name + "\" is not known"};
    return format->dtype.value_or(model_.dtype);
  }

  void find_clients() {
    if (row_.concurrency) {
      clients_ = *row_.concurrency;
      return;
    }
    const MeasuredWorkers& workers = row_.aggregated ? *row_.aggregated : *row_.decode;
    if (!workers.batch) throw MeasuredMiss{"states neither concurrency nor batch"};
    clients_ = *workers.batch * workers.workers * workers.attention_replicas;
    assume("as many clients as sequences fit the batches");
  }

  // The ranks of attention and of the experts are the same ones: a row that states fewer of the former leaves attention
  // data parallelism unsaid, and so does a degree that cannot split the heads.
  [[nodiscard]] MeasuredWorkers completed(MeasuredWorkers workers) {
    if (!workers.workers_stated) guess_devices("how many instances there are is not stated: one of each kind");
    if (row_.inference_x && row_.aggregated) undo_square(workers);
    const std::int64_t expert_ranks = workers.expert_tensor * workers.expert_ranks;
    const bool splits = workers.tensor <= model_.q_heads && model_.q_heads % workers.tensor == 0;
    if (!splits && model_.is_moe() && workers.attention_replicas == 1) {
      workers.attention_replicas = workers.tensor;
      workers.tensor = 1;
      guess_devices("a tensor-parallel degree that does not divide the heads taken as attention data parallelism");
    }
    const std::int64_t ranks = workers.tensor * workers.attention_replicas;
    if (model_.is_moe() && expert_ranks > ranks && expert_ranks % ranks == 0) {
      workers.attention_replicas *= expert_ranks / ranks;
      assume("more ranks of experts than of attention taken as attention data parallelism");
    }
    return workers;
  }

  // The published table has 16 measurements of one node twice: once with 8 ranks that deal the experts out, once with 8 x 8.
  void undo_square(MeasuredWorkers& workers) {
    const std::int64_t once = workers.expert_ranks;
    std::int64_t& ranks = workers.tensor > 1 ? workers.tensor : workers.attention_replicas;
    if (once != device_->scale_up_domain || workers.expert_tensor != once || ranks != once * once ||
        workers.tensor * workers.attention_replicas != ranks) {
      return;
    }
    ranks = once;
    workers.expert_tensor = 1;
    assume("ranks stated as the square of those of the experts taken as these");
  }

  void add(const MeasuredWorkers& stated, const std::string& role) {
    if (stated.stages != 1) throw MeasuredMiss{"pipeline stages are not covered"};
    MeasuredWorkers workers = completed(stated);
    if (model_.q_heads % workers.tensor != 0)
      throw MeasuredMiss{"the tensor-parallel degree does not divide the heads"};
    MeasuredReplica part = replica_of(workers, role);
    // A row that states one rank where one cannot hold the weights leaves all degrees unsaid.
    const bool one = workers.tensor == 1 && workers.attention_replicas == 1;
    while (one && model_.is_moe() && !fits(part) && workers.attention_replicas < device_->scale_up_domain) {
      guess_devices("no degree is stated and one rank cannot hold the weights: as many attention replicas as they need");
      workers.attention_replicas *= 2;
      part = replica_of(workers, role);
    }
    out_.parts.push_back(std::move(part));
  }

  [[nodiscard]] bool fits(const MeasuredReplica& part) const {
    const GroupPlan& group = part.scenario.plan.groups.front();
    const std::vector<Bytes> memory(group.stages.front().ranks.size(), device_->memory);
    return std::holds_alternative<Capacity>(kv_capacity(model_, group, {memory}));
  }

  [[nodiscard]] MeasuredReplica replica_of(const MeasuredWorkers& workers, const std::string& role) {
    MeasuredReplica part;
    part.replicas = workers.workers * workers.attention_replicas;
    part.clients = divided_up(clients_, part.replicas);
    Scenario& scenario = part.scenario;
    scenario.name = row_.where + " " + role;
    scenario.model = model_;
    scenario.devices.emplace(device_->name, *device_);
    const std::int64_t devices = workers.tensor * workers.attention_replicas;
    Pool pool;
    pool.name = "gpus";
    pool.node.device = device_->name;
    pool.node.devices = static_cast<int>(std::min<std::int64_t>(device_->scale_up_domain, devices));
    pool.nodes = divided_up(devices, pool.node.devices);
    scenario.cluster.pools = {pool};
    scenario.workload.serving.requests = part.clients;
    scenario.workload.serving.arrival = Arrival::kClosedLoop;
    scenario.workload.serving.concurrency = part.clients;
    scenario.workload.serving.prompt = lengths(row_.prompt);
    scenario.workload.serving.output = lengths(row_.output);

    EngineLimits limits;
    limits.max_batched_tokens = row_.batched_tokens.value_or(default_budget(workers.batch.value_or(part.clients)));
    limits.prefill_chunk = limits.max_batched_tokens;
    limits.max_sequences = part.clients;
    limits.block_tokens = kGpuBlockTokens;
    limits.max_context = row_.prompt + row_.output;
    limits.memory_fraction = out_.engine.memory_fraction;
    const std::vector<double> even(static_cast<std::size_t>(workers.tensor), 1.0);
    scenario.plan = make_plan(model_, "gpus", 1, even, {}, format_, limits, kGpuGranule);
    GroupPlan& group = scenario.plan.groups.front();
    // One share for all ranks, so that the replica is priced once: those that divide do so without a granule.
    for (RankPlan& rank : group.stages.front().ranks) rank.share = even_share(workers.tensor);
    group.activation_dtype = Dtype::kBf16;
    if (bytes_of(format_) < bytes_of(Dtype::kBf16) && out_.engine.fp8_cache) group.kv_dtype = Dtype::kFp8;
    if (model_.is_moe()) share_experts(workers, group);
    scenario.plan_given = true;
    return part;
  }

  // Of one step. aiconfigurator's launcher for benchmarks: max_num_tokens = batch + prompt + 1,500
  // (generator/rule_plugin/benchmark/{trtllm,vllm}.rule, read 2026-11-27); for SGLang it leaves the engine's chunk.
  [[nodiscard]] std::int64_t default_budget(std::int64_t batch) const {
    constexpr std::int64_t kBeside = 1500;
    const bool by_length = row_.aiconfigurator && out_.engine.budget_by_length;
    return by_length ? batch + row_.prompt + kBeside : out_.engine.batched_tokens;
  }

  [[nodiscard]] LengthRange lengths(std::int64_t nominal) const {
    const auto shortest = static_cast<std::int64_t>(static_cast<double>(nominal) * row_.shortest);
    return {std::max<std::int64_t>(1, shortest), nominal};
  }

  // Of the first rank when all ranks hold as much, rounded up where the degree does not divide.
  [[nodiscard]] TensorShare even_share(std::int64_t ranks) const {
    TensorShare share;
    share.q_heads = {0, model_.q_heads / ranks};
    share.kv_heads = kv_heads_of(share.q_heads, std::max<std::int64_t>(1, model_.group()));
    share.ffn = {0, divided_up(model_.ffn, ranks)};
    share.vocab = {0, divided_up(model_.vocab, ranks)};
    share.experts = {0, model_.moe.experts};
    return share;
  }

  // Ranks of one instance hold the same tokens: each works on its columns of every expert, or on whole experts, which
  // is as much. Attention replicas have tokens of their own and deal the experts out among them.
  void share_experts(const MeasuredWorkers& workers, GroupPlan& group) {
    const std::int64_t dealt = workers.attention_replicas;
    if (workers.expert_ranks > 1 && dealt == 1) assume("experts dealt out inside an instance priced as columns of all");
    group.training.expert_parallel = dealt;
    if (dealt == 1) return;
    std::vector<RankPlan>& ranks = group.stages.front().ranks;
    // The fullest rank where they do not divide; beyond one expert each, some are held twice.
    const std::int64_t own = divided_up(model_.moe.experts, dealt * static_cast<std::int64_t>(ranks.size()));
    for (std::size_t r = 0; r < ranks.size(); ++r) {
      const std::int64_t first = std::min(static_cast<std::int64_t>(r) * own, model_.moe.experts - own);
      ranks[r].share.experts = {first, first + own};
    }
  }

  const MeasuredRow& row_;
  const Catalogue& catalogue_;
  MeasuredScenario out_;
  Model model_;
  const Device* device_ = nullptr;
  Dtype format_ = Dtype::kBf16;
  std::int64_t clients_ = 1;
};

}  // namespace

std::variant<MeasuredScenario, MeasuredMiss> measured_scenario(const MeasuredRow& row, const Catalogue& catalogue) {
  try {
    return Mapper(row, catalogue).run();
  } catch (const MeasuredMiss& miss) {
    return miss;
  }
}

}  // namespace lindos::sim
