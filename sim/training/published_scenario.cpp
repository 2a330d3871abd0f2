// SPDX-License-Identifier: Apache-2.0
#include "sim/training/published_scenario.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "scenarios/balance.h"
#include "scenarios/error.h"
#include "scenarios/training_plan.h"
#include "sim/training/published_models.h"

namespace lindos::sim {

namespace {

// What the training code of one source does, as far as it decides step time.
struct Software {
  const char* name;
  std::array<std::string_view, 3> words;  // any of them in the row's software or group
  enum class Attention { kUnfused, kPortable, kNative } attention;
  bool fused_loss;
  bool dropout;         // of GPT models
  bool overlap_reduce;  // gradients beside the backward pass
  bool overlap_gather;  // parameters beside the forward pass
  TensorOverlap overlap_tensor;
  bool sequence_parallel;  // with tensor parallelism, where the row does not say
  int zero_stage;          // where the row does not say
  Dtype gradients;
  const char* source;
};
using Attention = Software::Attention;
constexpr std::array kSoftware{
    Software{"Megatron-LM 2021",
             {"Megatron-LM 2021", "Megatron SC21"},
             Attention::kUnfused,
             false,
             true,
             false,
             false,
             TensorOverlap::kNone,
             false,
             0,
             Dtype::kF32,
             "Narayanan et al., arXiv 2104.04473"},
    Software{"Megatron-LM 2022",
             {"Megatron-LM 2022", "Korthikanti"},
             Attention::kUnfused,
             false,
             true,
             false,
             false,
             TensorOverlap::kBackward,
             false,
             0,
             Dtype::kF32,
             "Korthikanti et al., arXiv 2205.05198"},
    // Metrics of the training batches take the loss again; PyTorch's fully sharded data parallelism
    // leaves its messages exposed (docs/training-accuracy.md).
    Software{"llm-foundry",
             {"llm-foundry", "Composer", "MosaicML"},
             Attention::kPortable,
             false,
             false,
             true,
             false,
             TensorOverlap::kNone,
             false,
             3,
             Dtype::kBf16,
             "mosaicml/llm-foundry, scripts/train/benchmarking"},
    Software{"NeMo",
             {"NeMo 24"},
             Attention::kNative,
             false,
             true,
             true,
             true,
             TensorOverlap::kTiles,
             true,
             1,
             Dtype::kBf16,
             "NVIDIA/NeMo-Framework-Launcher, conf/training"},
    Software{"Megatron-Bridge",
             {"Megatron-Bridge", "NeMo Container", "NeMo 25"},
             Attention::kNative,
             true,
             false,
             true,
             true,
             TensorOverlap::kTiles,
             true,
             1,
             Dtype::kBf16,
             "NVIDIA-NeMo/Megatron-Bridge, scripts/performance/configs"},
};

// Micro-batch and model chunks of SC21's Table 1, which the table does not print:
// NVIDIA/Megatron-LM @79a3bb6b, examples/sc21/run_table_1.sh.
struct Table1Row {
  std::string_view model;
  std::int64_t micro_batch, chunks;
};
constexpr std::array kTable1{
    Table1Row{"GPT 1.7B", 16, 1},  Table1Row{"GPT 3.6B", 16, 1},  Table1Row{"GPT 7.5B", 16, 1},
    Table1Row{"GPT 18.4B", 8, 1},  Table1Row{"GPT 39.1B", 4, 1},  Table1Row{"GPT 76.1B", 2, 3},
    Table1Row{"GPT 145.6B", 2, 2}, Table1Row{"GPT 310.1B", 1, 2}, Table1Row{"GPT 529.6B", 1, 3},
    Table1Row{"GPT 1008B", 1, 1},
};

// Catalogue device and GPUs per node; longer names first, since "GB200" holds "B200".
struct Gpu {
  std::string_view word, device;
  int per_node;
};
constexpr std::array kGpus{
    Gpu{"GB300", "gb300-nvl72", 4}, Gpu{"GB200", "gb200-nvl72", 4}, Gpu{"B200", "b200-sxm", 8},
    Gpu{"H200", "h200-sxm", 8},     Gpu{"H100", "h100-sxm", 8},     Gpu{"A100", "a100-80-sxm", 8},
};

// assume: mean length of a fine-tuning example (SQuAD), many of which are packed into one sequence.
// The FLOP/s that such rows report leave attention room for sequences of about this length.
constexpr std::int64_t kPackedExample = 128;
// Ports deliver 46-48 of 50 GB/s (nccl-tests issue 290; modelling handbook §2.3).
constexpr double kDeliveredShare = 0.94;

bool has(std::string_view text, std::string_view word) {
  const auto same = [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) ==
           std::tolower(static_cast<unsigned char>(b));
  };
  return std::search(text.begin(), text.end(), word.begin(), word.end(), same) != text.end();
}

const Software* software_of(const PublishedRow& row) {
  for (const std::string* text : {&row.software, &row.group}) {
    for (const Software& s : kSoftware) {
      for (const std::string_view word : s.words) {
        if (!word.empty() && has(*text, word)) return &s;
      }
    }
  }
  return nullptr;
}

const Gpu* gpu_of(const std::string& name) {
  const auto found =
      std::find_if(kGpus.begin(), kGpus.end(), [&](const Gpu& g) { return has(name, g.word); });
  return found == kGpus.end() ? nullptr : &*found;
}

std::optional<Dtype> format_of(const std::string& precision) {
  if (has(precision, "fp8")) return Dtype::kFp8;
  if (has(precision, "fp4")) return Dtype::kFp4;
  if (has(precision, "bf16")) return Dtype::kBf16;
  if (has(precision, "fp16")) return Dtype::kF16;
  return std::nullopt;
}

// Layers of each stage. Megatron counts the embedding and the loss as a layer each where the layers
// themselves do not divide (Llama 3.1 405B: 126 + 2); else the first stages have one more.
std::vector<std::int64_t> layers_by_stage(std::int64_t layers, std::int64_t stages) {
  std::vector<std::int64_t> out(static_cast<std::size_t>(stages), layers / stages);
  if (layers % stages == 0) return out;
  if (stages > 1 && (layers + 2) % stages == 0) {
    out.assign(out.size(), (layers + 2) / stages);
    --out.front();
    --out.back();
    return out;
  }
  for (std::int64_t s = 0; s < layers % stages; ++s) ++out[static_cast<std::size_t>(s)];
  return out;
}

// Fills a PublishedScenario from one row; throws PublishedMiss where that cannot be done.
class Mapper {
 public:
  Mapper(const PublishedRow& row, const Catalogue& catalogue) : row_(row), catalogue_(catalogue) {}

  PublishedScenario run() {
    find_parts();
    find_degrees();
    make_cluster();
    make_workload();
    make_plan_of_row();
    try {
      validate_training(out_.scenario.plan, out_.scenario.model, out_.scenario.workload.training,
                        "");
    } catch (const Error& error) {
      throw PublishedMiss{error.what()};
    }
    return std::move(out_);
  }

 private:
  void assume(const std::string& text) { out_.assumptions.push_back(text); }

  template <class T>
  T stated(const std::optional<T>& value, const std::string& name) const {
    if (!value) throw PublishedMiss{"states no " + name};
    return *value;
  }

  void find_parts() {
    gpu_ = gpu_of(row_.gpu);
    if (gpu_ == nullptr || !catalogue_.devices.contains(std::string(gpu_->device)))
      throw PublishedMiss{"GPU \"" + row_.gpu + "\" is not in the catalogue"};
    const auto model = find_published_model(row_.model, catalogue_);
    if (!model) throw PublishedMiss{"model \"" + row_.model + "\" is not known"};
    model_ = *model;
    const auto format = format_of(row_.precision);
    if (!format) throw PublishedMiss{"precision \"" + row_.precision + "\" is not known"};
    format_ = *format;
    software_ = software_of(row_);
    if (software_ == nullptr) {
      software_ = &kSoftware.back();
      assume("software not known: taken as " + std::string(software_->name));
    }
  }

  void find_degrees() {
    devices_ = stated(row_.devices, "number of GPUs");
    tensor_ = row_.tensor.value_or(1);
    stages_ = row_.pipeline.value_or(1);
    context_ = row_.context.value_or(1);
    const std::int64_t replica = tensor_ * stages_ * context_;
    if (devices_ % replica != 0) throw PublishedMiss{"TP x PP x CP does not divide the GPUs"};
    replicas_ = devices_ / replica;
    if (row_.data && *row_.data != replicas_)
      throw PublishedMiss{"TP x PP x CP x DP is not the number of GPUs"};
    chunks_ = row_.chunks.value_or(1);
    if (!row_.micro_batch || !row_.chunks) {
      for (const Table1Row& known : kTable1) {
        if (software_ != &kSoftware.front() || known.model != row_.model) continue;
        micro_batch_ = known.micro_batch;
        chunks_ = known.chunks;
        assume("micro-batch and model chunks from Megatron-LM's examples/sc21/run_table_1.sh");
      }
    }
    if (row_.micro_batch) micro_batch_ = *row_.micro_batch;
    if (micro_batch_ == 0) {
      micro_batch_ = 1;
      assume("micro-batch of 1, which the row does not state");
    }
  }

  void make_cluster() {
    Scenario& scenario = out_.scenario;
    scenario.name = row_.id;
    scenario.description = row_.where;
    scenario.cluster.name = row_.id;
    Pool pool;
    pool.name = "gpus";
    pool.node.device = gpu_->device;
    pool.node.devices = static_cast<int>(std::min<std::int64_t>(gpu_->per_node, devices_));
    pool.nodes = (devices_ + pool.node.devices - 1) / pool.node.devices;
    scenario.cluster.pools = {pool};
    scenario.cluster.fabric.kind = "rail-fat-tree";
    scenario.cluster.fabric.efficiency = kDeliveredShare;
    const Device& device = catalogue_.devices.at(std::string(gpu_->device));
    scenario.devices.emplace(device.name, device);
    scenario.model = model_.model;
  }

  void make_workload() {
    Workload& workload = out_.scenario.workload;
    workload.kind = WorkloadKind::kTraining;
    TrainingWorkload& training = workload.training;
    training.sequence = stated(row_.sequence, "sequence length");
    training.global_batch = stated(row_.global_batch, "global batch");
    training.micro_batch = micro_batch_;
    if (has(row_.recompute, "full")) training.recompute = Recompute::kFull;
    if (has(row_.recompute, "selective")) training.recompute = Recompute::kSelective;
    training.dropout = software_->dropout && model_.model.learned_positions;
    if (model_.finetuned && training.sequence % kPackedExample == 0) {
      const std::int64_t examples = training.sequence / kPackedExample;
      training.sequence = kPackedExample;
      training.global_batch *= examples;
      training.micro_batch *= examples;
      assume("fine-tuning examples of about 128 tokens, packed");
    }
    if (model_.adapters) {
      training.frozen_weights = true;
      assume("adapters cost nothing beside the frozen weights");
    }
  }

  void make_plan_of_row() {
    const Model& model = out_.scenario.model;
    const std::vector<double> even(static_cast<std::size_t>(tensor_), 1.0);
    if (stages_ > model.layers) throw PublishedMiss{"more pipeline stages than layers"};
    Plan plan =
        make_plan(model, "gpus", static_cast<int>(stages_), even, {}, format_, {}, kGpuGranule);
    GroupPlan& group = plan.groups.front();
    group.name = "gpus";
    group.role = Role::kTrain;
    group.replicas = replicas_;
    group.activation_dtype = Dtype::kBf16;
    std::int64_t first = 0;
    const std::vector<std::int64_t> layers = layers_by_stage(model.layers, stages_);
    for (std::size_t s = 0; s < group.stages.size(); ++s) {
      group.stages[s].layers = {first, first + layers[s]};
      first += layers[s];
    }
    TrainingPlan& training = group.training;
    training.virtual_stages = static_cast<int>(chunks_);
    training.context_parallel = context_;
    if (model.is_moe()) training.expert_parallel = row_.expert.value_or(1);
    training.sequence_parallel =
        tensor_ > 1 && (software_->sequence_parallel || has(row_.recompute, "seq-parallel"));
    training.fused_attention = software_->attention != Software::Attention::kUnfused;
    training.portable_attention = software_->attention == Software::Attention::kPortable;
    training.fused_loss = software_->fused_loss;
    training.gradient_dtype = software_->gradients;
    training.overlap_gradient_reduce = software_->overlap_reduce;
    training.overlap_parameter_gather = software_->overlap_gather;
    training.overlap_tensor = software_->overlap_tensor;
    training.zero_stage = zero_stage();
    out_.scenario.plan = std::move(plan);
    out_.scenario.plan_given = true;
    assume("attention, loss, dropout, overlap and gradient format as " +
           std::string(software_->name) + " runs (" + software_->source + ")");
  }

  [[nodiscard]] int zero_stage() const {
    const std::string& sharding = row_.sharding;
    if (has(sharding, "SHARD_GRAD_OP")) return 2;
    if (has(sharding, "FULL_SHARD") || has(sharding, "HYBRID")) return 3;
    if (!sharding.empty() && sharding != "0" && sharding != "1") return 3;
    return software_->zero_stage == 3 && (sharding == "0" || sharding == "1")
               ? 0
               : software_->zero_stage;
  }

  const PublishedRow& row_;
  const Catalogue& catalogue_;
  PublishedScenario out_;
  PublishedModel model_;
  const Gpu* gpu_ = nullptr;
  const Software* software_ = nullptr;
  Dtype format_ = Dtype::kBf16;
  std::int64_t devices_ = 1;
  std::int64_t tensor_ = 1;
  std::int64_t stages_ = 1;
  std::int64_t context_ = 1;
  std::int64_t replicas_ = 1;
  std::int64_t chunks_ = 1;
  std::int64_t micro_batch_ = 0;
};

}  // namespace

std::variant<PublishedScenario, PublishedMiss> published_scenario(const PublishedRow& row,
                                                                  const Catalogue& catalogue) {
  try {
    return Mapper(row, catalogue).run();
  } catch (const PublishedMiss& miss) {
    return miss;
  }
}

}  // namespace lindos::sim
