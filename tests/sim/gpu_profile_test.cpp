// SPDX-License-Identifier: Apache-2.0
// A profile as the probe of a GPU writes it: its samples come back as they are, and a step costs what steps in place did.
#include <cmath>
#include <map>

#include <gtest/gtest.h>

#include "exec/probe/cuda_shapes.h"
#include "scenarios/balance.h"
#include "scenarios/ops.h"
#include "sim/operator_cost.h"
#include "sim/predict.h"
#include "sim/replica_model.h"

namespace lindos::sim {
namespace {

constexpr double kPeak = 989e12;
constexpr double kRead = 4.3e12;
constexpr double kLaunch = 3e-6;
constexpr double kInPlace = 0.9;  // kernels overlap a little
constexpr double kStepOverhead = 40e-6;
constexpr double kPerSequence = 0.4e-6;

Model llama_8b() {
  Model model;
  model.name = "8b";
  model.architecture = "LlamaForCausalLM";
  model.hidden = 4096;
  model.layers = 32;
  model.q_heads = 32;
  model.kv_heads = 8;
  model.head_dim = 128;
  model.ffn = 14336;
  model.vocab = 128256;
  model.max_positions = 131072;
  return model;
}

Device h200() {
  Device device;
  device.name = "h200";
  device.label = "H200";
  device.peak[Dtype::kBf16] = FlopPerSecond(kPeak);
  device.memory = Bytes(150e9);
  device.memory_bandwidth = BytesPerSecond(4.8e12);
  device.compute_capability = 90;
  return device;
}

EngineLimits limits() {
  EngineLimits limits;
  limits.max_batched_tokens = 8192;
  limits.prefill_chunk = 8192;
  limits.max_sequences = 64;
  limits.max_context = 4096;
  limits.block_tokens = kGpuBlockTokens;
  return limits;
}

GroupPlan group() {
  return make_plan(llama_8b(), "gpu", 1, {1.0}, {1.0}, Dtype::kBf16, limits(), kGpuGranule).groups.front();
}

// What this machine of ours takes: a start, then the larger of reading and 70 % of peak.
Seconds truth(double bytes, double flop) {
  return Seconds(kLaunch + std::max(bytes / (0.93 * kRead), flop / (0.7 * kPeak)));
}

Seconds gemm_truth(double m, double n, double k) { return truth(2.0 * (m * k + n * k + m * n), 2.0 * m * n * k); }

Seconds attention_truth(const exec::StageShape& s) {
  const double pairs = static_cast<double>(s.sequences * s.tokens) *
                       (static_cast<double>(s.context) + (static_cast<double>(s.tokens) + 1.0) / 2.0);
  return truth(static_cast<double>(s.sequences * (s.context + s.tokens)) * 4096.0, pairs * 4.0 * 32.0 * 128.0);
}

// The layer as the stage samples time it.
Seconds layer_truth(const exec::StageShape& s) {
  const auto m = static_cast<double>(s.sequences * s.tokens);
  return kInPlace * (gemm_truth(m, 6144, 4096) + gemm_truth(m, 4096, 4096) + gemm_truth(m, 28672, 4096) +
                     gemm_truth(m, 4096, 14336) + attention_truth(s));
}

Profile profile() {
  Profile p;
  p.device = "h200";
  p.label = "NVIDIA H200";
  p.source = "synthetic";
  p.date = "2026-11-26";
  p.compute_capability = 90;
  p.memory = Bytes(150e9);
  p.matrix_rate = FlopPerSecond(kPeak);
  p.read_bandwidth = BytesPerSecond(kRead);
  p.read_bandwidth_by_threads = {p.read_bandwidth};
  p.step_overhead = Seconds(kStepOverhead);
  p.per_sequence_overhead = Seconds(kPerSequence);
  constexpr std::pair<std::int64_t, std::int64_t> kSites[] = {
      {6144, 4096}, {4096, 4096}, {28672, 4096}, {4096, 14336}, {128256, 4096}};
  for (const auto& [n, k] : kSites) {
    for (const exec::GemmRows& rows : exec::gemm_rows(n == 128256 ? 64 : 8192)) {
      for (const std::int64_t m : rows.sampled) {
        p.gemm.push_back({Dtype::kBf16, m, n, k, 1, 1,
                          gemm_truth(static_cast<double>(rows.run), static_cast<double>(n), static_cast<double>(k)),
                          0.002});
      }
    }
  }
  p.gemm.push_back({Dtype::kBf16, 8192, 8192, 8192, 1, 1, gemm_truth(8192, 8192, 8192), 0.002});
  for (const exec::StageShape& s : exec::attention_shapes(llama_8b(), limits(), 4096.0, 4e9)) {
    p.attention.push_back(
        {Dtype::kBf16, s.sequences, s.tokens, s.context, 32, 8, 128, 1, 1, attention_truth(s), 0.002});
  }
  for (const std::int64_t rows : exec::stream_rows(limits())) {
    for (const Op& op : step_ops(llama_8b(), group(), {0, 0}, {{0, rows, true}})) {
      if (op.kind != OpKind::kEmbedding && op.kind != OpKind::kNorm && op.kind != OpKind::kActivation &&
          op.kind != OpKind::kRopeKvWrite)
        continue;
      const bool known = std::any_of(p.stream.begin(), p.stream.end(), [&](const StreamSample& s) {
        return s.op == name_of(op.kind) && s.bytes == op.bytes();
      });
      if (!known) p.stream.push_back({name_of(op.kind), op.bytes(), 1, 1, truth(op.bytes().value(), 0.0), 0.002});
    }
  }
  for (const exec::StageShape& s : exec::step_shapes(llama_8b(), limits())) {
    StageSample sample;
    sample.weight_dtype = sample.kv_dtype = Dtype::kBf16;
    sample.hidden = 4096;
    sample.head_dim = 128;
    sample.ranks = {{32, 8, 14336, 1}};
    sample.layers = 5;
    sample.sequences = s.sequences;
    sample.tokens = s.tokens;
    sample.context = s.context;
    sample.time = 5.0 * layer_truth(s);
    sample.spread = 0.002;
    p.stages.push_back(sample);
  }
  return p;
}

TEST(GpuProfile, SurvivesItsFile) { EXPECT_EQ(profile_from_json(to_json(profile()), "profile.json"), profile()); }

TEST(GpuProfile, PricesItsOwnSamplesAsTheyWere) {
  const Profile p = profile();
  const OperatorCost cost(p);
  for (const GemmSample& s : p.gemm) {
    Op op;
    op.m = s.m;
    op.n = s.n;
    op.k = s.k;
    op.flop = Flop(2.0 * static_cast<double>(s.m * s.n) * static_cast<double>(s.k));
    const auto priced = std::get<Priced>(cost.price(op, Dtype::kBf16, {1, 1}));
    EXPECT_NEAR(priced.time / s.time, 1.0, 1e-9) << s.m << " " << s.n << " " << s.k;
    EXPECT_EQ(priced.tier, Tier::kMeasured);
  }
  const GroupPlan plan = group();
  for (const AttentionSample& s : p.attention) {
    const Batch batch(static_cast<std::size_t>(s.sequences), {s.context, s.tokens, true});
    for (const Op& op : step_ops(llama_8b(), plan, {0, 0}, batch)) {
      if (op.kind != OpKind::kAttentionDecode && op.kind != OpKind::kAttentionPrefill) continue;
      EXPECT_NEAR(std::get<Priced>(cost.price(op, Dtype::kBf16, {1, 1})).time / s.time, 1.0, 1e-6)
          << s.sequences << " × " << s.tokens << " after " << s.context;
    }
  }
}

TEST(GpuProfile, DecodesBetweenTheEndsOfAStairCostTheStair) {
  const Profile p = profile();
  const OperatorCost cost(p);
  for (const std::int64_t m : {11, 12, 15, 20, 24, 28, 48, 60}) {
    std::int64_t bucket = 1;
    while (bucket < m) bucket *= 2;
    Op op;
    op.m = m;
    op.n = 28672;
    op.k = 4096;
    op.flop = Flop(2.0 * static_cast<double>(m) * 28672 * 4096);
    const auto priced = std::get<Priced>(cost.price(op, Dtype::kBf16, {1, 1}));
    EXPECT_NEAR(priced.time / gemm_truth(static_cast<double>(bucket), 28672, 4096), 1.0, 0.01) << m;
  }
}

// One batch that decodes together: what layers, LM head and host take is known, and so is the step.
TEST(GpuProfile, AStepCostsWhatStepsInPlaceDid) {
  const Model model = llama_8b();
  const GroupPlan plan = group();
  const std::map<std::string, ProfiledDevice> devices{{"gpu", {h200(), profile()}}};
  ReplicaModel replica(model, plan, {}, devices);
  for (const exec::StageShape& s :
       {exec::StageShape{1, 1, 256}, exec::StageShape{8, 1, 700}, exec::StageShape{12, 1, 700},
        exec::StageShape{24, 1, 350}, exec::StageShape{64, 1, 1500}, exec::StageShape{1, 700, 0},
        exec::StageShape{1, 3000, 0}, exec::StageShape{12, 100, 0}, exec::StageShape{23, 350, 0},
        exec::StageShape{1, 8192 - 4096 - 100, 0}}) {
    const Batch batch(static_cast<std::size_t>(s.sequences), {s.context, s.tokens, true});
    const StageWork& work = replica.work(batch, 0, 1);
    const Seconds priced = compute_time(work, replica.ranks(0), Draw{});
    exec::StageShape run = s;
    if (s.tokens == 1) {
      for (run.sequences = 1; run.sequences < s.sequences;) run.sequences *= 2;
    }
    // Attention runs for the real sequences only.
    const Seconds layer = layer_truth(run) - kInPlace * (attention_truth(run) - attention_truth(s));
    const auto logits = static_cast<double>(run.sequences);
    const Seconds head = gemm_truth(logits, 128256, 4096);
    const Seconds host = Seconds(kPerSequence * static_cast<double>(s.sequences));
    EXPECT_NEAR(priced / (32.0 * layer + head + host), 1.0, 0.04)
        << s.sequences << " × " << s.tokens << " after " << s.context;
  }
}

// Launched one by one, kernels of a short prompt take 1.5 times what they take in a replayed graph.
TEST(GpuProfile, PromptsAndDecodesOfEqualTokensHaveTheirOwnRatio) {
  Profile p = profile();
  for (StageSample& s : p.stages) {
    if (s.tokens > 1) s.time *= 1.5;
  }
  const Model model = llama_8b();
  const GroupPlan plan = group();
  const auto step = [&](const Profile& of, const Batch& batch) {
    ReplicaModel replica(model, plan, {}, {{"gpu", {h200(), of}}});
    return compute_time(replica.work(batch, 0, 1), replica.ranks(0), Draw{});
  };
  const Batch decodes(64, {700, 1, true});
  const Batch prompt{{0, 64, true}};
  EXPECT_NEAR(step(p, decodes) / step(profile(), decodes), 1.0, 1e-9);
  // The LM head is no layer.
  EXPECT_NEAR(step(p, prompt) / step(profile(), prompt), 1.5, 0.05);
}

// Samples without any spread still leave open at what clock a step runs: as ReplicaModel states it, of prompts and of decodes.
TEST(GpuProfile, StepsAreNoSurerThanHeldOutRuns) {
  Profile p = profile();
  for (StageSample& s : p.stages) s.spread = 0.0;
  ReplicaModel replica(llama_8b(), group(), {}, {{"gpu", {h200(), p}}});
  EXPECT_GE(replica.work({{0, 512, true}}, 0, 1).sigma, 0.075);
  const double decodes = replica.work(Batch(8, {700, 1, true}), 0, 1).sigma;
  EXPECT_GE(decodes, 0.03);
  EXPECT_LT(decodes, 0.06);
}

TEST(GpuProfile, MfuRefersToTheDatasheetsPeak) {
  const std::map<std::string, ProfiledDevice> devices{{"gpu", {h200(), profile()}}};
  const ReplicaModel replica(llama_8b(), group(), {}, devices);
  EXPECT_DOUBLE_EQ(replica.peak().value(), kPeak);
  EXPECT_DOUBLE_EQ(replica.bandwidth().value(), kRead);
}

Scenario one_gpu(const ServingWorkload& load) {
  Scenario scenario;
  scenario.name = "one GPU";
  scenario.model = llama_8b();
  scenario.devices["h200"] = h200();
  Pool pool;
  pool.name = "gpu";
  pool.node.name = "node";
  pool.node.device = "h200";
  pool.nodes = 1;
  scenario.cluster.name = "one GPU";
  scenario.cluster.pools = {pool};
  scenario.workload.serving = load;
  scenario.plan = {"one GPU", {group()}};
  return scenario;
}

TEST(GpuProfile, ServingOnOneGpuIsPredicted) {
  const Scenario scenario = one_gpu({12, Arrival::kTogether, Hertz(0), {700, 700}, {40, 40}});
  PredictOptions options;
  options.draws = 100;
  const RunRecord record = predict(scenario, {{"h200", profile()}}, options);
  const exec::StageShape bucket{16, 1, 720};
  const double step = (32.0 * layer_truth(bucket) + gemm_truth(16, 128256, 4096)).count() + kStepOverhead;
  EXPECT_NEAR(record.metrics.at("tpot_s").p50 / step, 1.0, 0.03);
  const MetricValue& tpot = record.metrics.at("tpot_s");
  EXPECT_LT(tpot.p10, tpot.p50);
  EXPECT_LT(tpot.p50, tpot.p90);
  EXPECT_LT(tpot.p90 / tpot.p10, 1.2);
}

// Decodes of 8 drew 520 W while the probe ran them without end. Serving that decodes 8 together most of the time draws
// as much; its prompts, 4 % of the time, draw more.
TEST(GpuProfile, ServingDrawsWhatItsStepsDidInTheProbe) {
  Profile p = profile();
  const exec::StageShape shape{8, 1, 356};
  double flop = 0.0;
  double bytes = 0.0;
  for (const Op& op : step_ops(llama_8b(), group(), {0, 0}, Batch(8, {shape.context, shape.tokens, true}))) {
    if (op.kind == OpKind::kSample) continue;
    flop += op.flop.value() * static_cast<double>(op.count);
    bytes += op.bytes().value() * static_cast<double>(op.count);
  }
  const double step = (32.0 * layer_truth(shape) + gemm_truth(8, 128256, 4096)).count() + kStepOverhead +
                      8.0 * kPerSequence;
  const auto sample = [](const char* load, double watts, double flop_per_s, double bytes_per_s) {
    return PowerSample{load,       0, 0, Watts{watts}, FlopPerSecond{flop_per_s}, BytesPerSecond{bytes_per_s},
                       Seconds{1}};
  };
  p.power_limit = Watts{700};
  p.power = {sample("idle", 80, 0.0, 0.0), sample("read", 440, 0.0, kRead), sample("matrix", 690, 0.7 * kPeak, 0.25e12),
             sample("steps", 520, flop / step, bytes / step)};
  PredictOptions options;
  options.draws = 50;
  const RunRecord record =
      predict(one_gpu({8, Arrival::kTogether, Hertz(0), {256, 256}, {200, 200}}), {{"h200", p}}, options);
  const MetricValue& power = record.metrics.at("power_w");
  EXPECT_NEAR(power.p50 / 520.0, 1.0, 0.03);
  EXPECT_LT(power.p10, power.p50);
  EXPECT_LT(power.p50, power.p90);
  EXPECT_NEAR(record.metrics.at("energy_per_token_j").p50 * record.metrics.at("output_tokens_per_s").p50 / power.p50,
              1.0, 1e-6);
}

}  // namespace
}  // namespace lindos::sim
