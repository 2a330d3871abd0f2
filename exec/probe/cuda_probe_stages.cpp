// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <vector>

#include "exec/checkpoint/checkpoint.h"
#include "exec/comm/communicator.h"
#include "exec/cuda/cuda_model.h"
#include "exec/probe/cuda_probe_parts.h"
#include "exec/probe/probe_parts.h"
#include "exec/runner/rank_worker.h"
#include "exec/runner/replica.h"
#include "kernels/cuda/page.h"
#include "scenarios/balance.h"
#include "scenarios/error.h"
#include "scenarios/shard_shape.h"

namespace lindos::exec {

namespace {

using kernels::cuda::kDevicePageTokens;

constexpr double kLayersBytes = 2e9;  // weights of the layers that are timed: many times the L2 cache
constexpr int kRounds = 7;
constexpr double kRoundSeconds = 5e-3;
constexpr double kPowerLayersBytes = 4e9;  // weights of the layers whose power is sampled: the host's part is small
constexpr double kPowerBurstSeconds = 0.01;
// One sequence, the most and the fewest on either side of the fused products' limit, and many.
constexpr std::int64_t kPowerDecodes[] = {1, 8, 16, 64};
constexpr std::int64_t kPowerContext = 256;
constexpr std::int64_t kPowerPrompt = 2048;

std::int64_t pages_of(const StageShape& shape) {
  return (shape.context + shape.tokens + kDevicePageTokens - 1) / kDevicePageTokens;
}

// The engine's model of the first `layers` layers of one stage, with embedding and LM head: decode steps are graphs.
class StepBench {
 public:
  StepBench(const Model& model, const GroupPlan& group, const StagePlan& stage, std::int64_t layers,
            std::int64_t blocks, std::int64_t positions)
      : tensor_group_(make_single_communicator()) {
    cut_ = model;
    cut_.layers = layers;
    if (!model.sliding_window.empty()) {
      const auto first = model.sliding_window.begin() + stage.layers.begin;
      cut_.sliding_window.assign(first, first + layers);
    }
    whole_ = group;
    whole_.stages = {{{0, layers}, stage.ranks}};
    whole_.stages.front().ranks.front().share.vocab = {0, model.vocab};
    const auto checkpoint = make_synthetic(cut_, 1, read_dtype(group.weight_dtype));
    model_ = std::make_unique<cuda::CudaModel>(cut_, whole_, ShardId{0, 0}, *checkpoint, blocks, 0, positions,
                                               *tensor_group_, timer_);
  }

  // FLOP and bytes of one step, as the simulator counts them: kernels of the device, no messages.
  struct Work {
    double flop = 0.0;
    double bytes = 0.0;
  };
  [[nodiscard]] Work work_of(const StageShape& shape) const {
    Work work;
    const Batch batch(static_cast<std::size_t>(shape.sequences), {shape.context, shape.tokens, true});
    for (const Op& op : step_ops(cut_, whole_, {0, 0}, batch)) {
      if (op.kind == OpKind::kSample || op.message_bytes.value() > 0.0) continue;
      work.flop += op.flop.value() * static_cast<double>(op.count);
      work.bytes += op.bytes().value() * static_cast<double>(op.count);
    }
    return work;
  }

  // Device time of one step, by the engine's own timer.
  [[nodiscard]] double step(const StepInput& input) {
    timer_.reset();
    model_->forward(input);
    model_->candidates(input, 1, best_);
    return timer_.total().count();
  }

 private:
  Model cut_;
  GroupPlan whole_;
  std::unique_ptr<Communicator> tensor_group_;
  OpTimer timer_;
  std::unique_ptr<cuda::CudaModel> model_;
  std::vector<kernels::Candidate> best_;
};

}  // namespace

StepInput step_input_of(const StageShape& shape, std::int64_t vocab) {
  StepInput input;
  const std::int64_t pages = pages_of(shape);
  input.blocks.resize(static_cast<std::size_t>(pages * shape.sequences));
  for (std::size_t b = 0; b < input.blocks.size(); ++b) input.blocks[b] = static_cast<std::int32_t>(b);
  for (std::int64_t s = 0; s < shape.sequences; ++s) {
    const RequestSpec request{static_cast<std::uint64_t>(s), Seconds{0}, shape.tokens, 1};
    for (const scheduler::TokenId id : synthetic_prompt(request, 1, vocab)) input.ids.push_back(id);
    input.slices.push_back({shape.context, shape.tokens, s * shape.tokens, input.blocks.data() + s * pages});
    for (std::int64_t t = 0; t < shape.tokens; ++t) input.positions.push_back(shape.context + t);
    input.logit_rows.push_back((s + 1) * shape.tokens - 1);
    input.logit_requests.push_back(request.id);
  }
  return input;
}

namespace {

// As many layers as hold `bytes` of weights, 1 to `most`.
std::int64_t layers_of(const Model& model, const TensorShare& share, double bytes, std::int64_t most) {
  const std::int64_t heads = 2 * share.q_heads.size() + 2 * share.kv_heads.size();
  const double layer_bytes = static_cast<double>(model.hidden * (heads * model.head_dim + 3 * share.ffn.size())) * 2.0;
  return std::clamp<std::int64_t>(static_cast<std::int64_t>(std::ceil(bytes / layer_bytes)), 1, most);
}

}  // namespace

void cuda_power_of_steps(const CudaProbeRequest& request, const PowerMeter& meter, Profile& profile) {
  const Model& model = request.model;
  for (const GroupPlan& group : request.groups) {
    for (const StagePlan& stage : group.stages) {
      if (stage.ranks.size() != 1 || stage.layers.empty()) continue;
      const std::int64_t most = std::min(context_limit(model, group.limits), model.max_positions);
      std::vector<StageShape> shapes;
      for (const std::int64_t sequences : kPowerDecodes) {
        if (sequences <= std::min(group.limits.max_sequences, group.limits.max_batched_tokens))
          shapes.push_back({sequences, 1, std::min(kPowerContext, most - 1)});
      }
      shapes.push_back({1, std::min({kPowerPrompt, group.limits.max_batched_tokens, most}), 0});
      std::int64_t blocks = 1;
      std::int64_t positions = 1;
      for (const StageShape& shape : shapes) {
        blocks = std::max(blocks, shape.sequences * pages_of(shape));
        positions = std::max(positions, shape.context + shape.tokens);
      }
      const std::int64_t layers =
          layers_of(model, stage.ranks.front().share, kPowerLayersBytes, stage.layers.size());
      StepBench bench(model, group, stage, layers, blocks, positions);
      for (const StageShape& shape : shapes) {
        if (request.cancelled && request.cancelled()) throw Error(ErrorKind::kCancelled, "", "cancelled");
        if (request.progress) request.progress("power, steps", 0.97);
        const StepInput input = step_input_of(shape, model.vocab);
        // The first step of a bucket runs kernel by kernel.
        (void)bench.step(input);
        const int steps = std::clamp(static_cast<int>(kPowerBurstSeconds / bench.step(input)), 1, 100);
        const std::optional<SteadyPower> steady = meter.measure([&] {
          for (int i = 0; i < steps; ++i) (void)bench.step(input);
        });
        if (!steady) continue;
        const StepBench::Work work = bench.work_of(shape);
        const double per_s = steady->bursts_per_s * steps;
        profile.power.push_back({"steps", shape.sequences, shape.tokens, steady->power,
                                 FlopPerSecond{work.flop * per_s}, BytesPerSecond{work.bytes * per_s}, steady->window});
      }
      return;
    }
  }
}

void cuda_stages(const CudaProbeRequest& request, const GroupPlan& group, Profile& profile) {
  const Model& model = request.model;
  const auto stages = static_cast<int>(group.stages.size());
  const double kv_layer_block = 2.0 * static_cast<double>(kDevicePageTokens * model.head_dim) * 2.0;
  for (const StagePlan& stage : group.stages) {
    if (stage.ranks.size() != 1 || stage.layers.size() < 2) continue;
    const TensorShare& share = stage.ranks.front().share;
    StageSample sample;
    sample.weight_dtype = group.weight_dtype;
    sample.kv_dtype = group.kv_dtype;
    sample.hidden = model.hidden;
    sample.head_dim = model.head_dim;
    sample.ranks = {stage_rank(model, group, {static_cast<int>(&stage - group.stages.data()), 0}, 1)};
    const bool known = std::any_of(profile.stages.begin(), profile.stages.end(),
                                   [&](const StageSample& s) { return s.ranks == sample.ranks; });
    if (known) continue;

    sample.layers = layers_of(model, share, kLayersBytes, stage.layers.size() - 1);
    // A fifth of what is free, for the pages of all layers; shapes beyond it are left out.
    const double room = 0.2 * request.gpu.free_memory.value();
    const double block_bytes = kv_layer_block * static_cast<double>(share.kv_heads.size() * (sample.layers + 1));
    std::vector<StageShape> shapes = step_shapes(model, group.limits);
    std::erase_if(shapes, [&](const StageShape& s) {
      return static_cast<double>(s.sequences * pages_of(s)) * block_bytes > room;
    });
    std::int64_t blocks = 1;
    std::int64_t positions = 1;
    for (const StageShape& shape : shapes) {
      blocks = std::max(blocks, shape.sequences * pages_of(shape));
      positions = std::max(positions, shape.context + shape.tokens);
    }
    if (request.progress) request.progress("layers in place", 0.6);
    // One layer more and `layers` more: the difference holds neither embedding nor LM head nor the launch.
    StepBench few(model, group, stage, 1, blocks, positions);
    StepBench many(model, group, stage, 1 + sample.layers, blocks, positions);
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      if (request.cancelled && request.cancelled()) throw Error(ErrorKind::kCancelled, "", "cancelled");
      if (request.progress)
        request.progress("layers in place", 0.6 + 0.3 * static_cast<double>(i) / static_cast<double>(shapes.size()));
      const StepInput input = step_input_of(shapes[i], model.vocab);
      // The first step of a bucket runs kernel by kernel.
      (void)few.step(input);
      (void)many.step(input);
      (void)few.step(input);
      const int steps = std::clamp(static_cast<int>(kRoundSeconds / many.step(input)), 1, 20);
      std::vector<double> seconds;
      for (int round = 0; round < kRounds; ++round) {
        double few_s = 0.0;
        double many_s = 0.0;
        for (int n = 0; n < steps; ++n) few_s += few.step(input);
        for (int n = 0; n < steps; ++n) many_s += many.step(input);
        seconds.push_back((many_s - few_s) / steps);
      }
      if (*std::min_element(seconds.begin(), seconds.end()) <= 0.0) continue;  // layers too small to tell from noise
      const Timing timing = timing_of(seconds);
      sample.sequences = shapes[i].sequences;
      sample.tokens = shapes[i].tokens;
      sample.context = shapes[i].context;
      sample.time = timing.time;
      sample.spread = timing.spread;
      // Stages of a plan have devices of their own: how many of them compute at once changes nothing.
      for (sample.stages_at_once = 1; sample.stages_at_once <= stages; ++sample.stages_at_once)
        profile.stages.push_back(sample);
      sample.stages_at_once = 1;
    }
  }
}

namespace {

// Seconds per decode step of the tiny model, by whole runs of the engine.
class OverheadBench {
 public:
  OverheadBench(std::int64_t layers, std::int64_t vocab, Dtype dtype) {
    config_.backend = Backend::kCuda;
    config_.model = tiny_model(vocab);
    config_.model.layers = layers;
    EngineLimits limits;
    limits.max_batched_tokens = kMany;
    limits.max_sequences = kMany;
    limits.block_tokens = kDevicePageTokens;
    config_.group = make_plan(config_.model, "gpu", 1, {1.0}, {1.0}, dtype, limits, kGpuGranule).groups.front();
    config_.checkpoint = make_synthetic(config_.model, 1, dtype);
    config_.kv_blocks = kMany * 4;
    replica_ = Replica::in_process(config_);
    for (const std::int64_t sequences : {std::int64_t{1}, kMany}) (void)step(sequences);
  }

  [[nodiscard]] double step(std::int64_t sequences) {
    std::vector<RequestSpec> requests;
    for (std::int64_t i = 0; i < sequences; ++i)
      requests.push_back({static_cast<std::uint64_t>(i), Seconds{0}, 1, 128});
    RunOptions options;
    options.prompt = [&](const RequestSpec& r) { return synthetic_prompt(r, 1, config_.model.vocab); };
    const EngineRun run = replica_->run(requests, options);
    return run.wall.count() / static_cast<double>(run.steps.size());
  }

  static constexpr std::int64_t kMany = 64;

 private:
  EngineConfig config_;
  std::unique_ptr<Replica> replica_;
};

}  // namespace

// What a step takes without layers: the line through a tiny model of one and of several layers, at none. Scheduling,
// packing, launch, choice of tokens and the way back, which no kernel's sample holds.
void cuda_step_overhead(const CudaProbeRequest& request, Profile& profile) {
  if (request.progress) request.progress("step overhead", 0.92);
  constexpr std::int64_t kLayers = 9;
  OverheadBench one(1, request.model.vocab, request.dtype);
  OverheadBench several(kLayers, request.model.vocab, request.dtype);
  const auto without_layers = [&](std::int64_t sequences) {
    std::vector<double> seconds;
    for (int round = 0; round < kRounds; ++round) {
      const double base = one.step(sequences);
      const double layer = std::max(0.0, several.step(sequences) - base) / static_cast<double>(kLayers - 1);
      seconds.push_back(std::max(1e-9, base - layer));
    }
    return timing_of(seconds);
  };
  const Timing single = without_layers(1);
  const Timing many = without_layers(OverheadBench::kMany);
  const double each = std::max(0.0, (many.time - single.time).count() / static_cast<double>(OverheadBench::kMany - 1));
  profile.per_sequence_overhead = Seconds{each};
  profile.step_overhead = Seconds{std::max(0.0, single.time.count() - each)};
  profile.step_overhead_spread = single.spread;
}

}  // namespace lindos::exec
