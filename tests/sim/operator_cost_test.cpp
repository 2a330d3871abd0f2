// SPDX-License-Identifier: Apache-2.0
#include "sim/operator_cost.h"

#include <cmath>
#include <variant>

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "sim/datasheet.h"
#include "sim/roofline.h"
#include "tests/sim/toy_profile.h"

namespace lindos::sim {
namespace {

Op gemm_op(std::int64_t m, std::int64_t n, std::int64_t k) {
  Op op;
  op.kind = OpKind::kGemm;
  op.m = m;
  op.n = n;
  op.k = k;
  op.tokens = m;
  op.flop = Flop(2.0 * static_cast<double>(m * n * k));
  op.weight_bytes = Bytes(4.0 * static_cast<double>(n * k));
  op.activation_bytes = Bytes(4.0 * static_cast<double>(m * (n + k)));
  return op;
}

Op attention_op(OpKind kind, std::int64_t slices, std::int64_t tokens, std::int64_t context) {
  Op op;
  op.kind = kind;
  op.q_heads = 4;
  op.kv_heads = 2;
  op.head_dim = 16;
  op.tokens = slices * tokens;
  op.kv_tokens = slices * (context + tokens);
  const double pairs = static_cast<double>(slices) *
                       static_cast<double>(tokens * context + tokens * (tokens + 1) / 2);
  op.flop = Flop(4.0 * pairs * 64.0);
  op.kv_bytes = Bytes(4.0 * 2.0 * 32.0 * static_cast<double>(op.kv_tokens));
  op.activation_bytes = Bytes(4.0 * 2.0 * 64.0 * static_cast<double>(op.tokens));
  return op;
}

Priced priced(const OperatorCost& cost, const Op& op, ExecutionContext context = {2, 1}) {
  const Price price = cost.price(op, Dtype::kF32, context);
  EXPECT_TRUE(std::holds_alternative<Priced>(price));
  return std::get<Priced>(price);
}

constexpr double kExact = 1e-12;

TEST(OperatorCost, AnExactGemmSampleKeepsItsTime) {
  Profile profile = toy::bare_profile();
  profile.gemm = {toy::gemm(1, 100, 100, 7e-6), toy::gemm(4, 100, 100, 9e-6)};
  const Priced p = priced(OperatorCost(profile), gemm_op(4, 100, 100));
  EXPECT_NEAR(p.time.count(), 9e-6, 9e-6 * kExact);
  EXPECT_EQ(p.tier, Tier::kMeasured);
  EXPECT_EQ(p.family, Family::kGemm);
}

TEST(OperatorCost, BetweenMTheUtilisationIsLinearInLogM) {
  // n = k = 100, f32, 100 GB/s: bytes = 4(m·200 + 10,000). m = 1: 40.8 kB = 408 ns; m = 4: 43.2 kB
  // = 432 ns. FLOP side: 20,000·m / 1e12 = 20 ns·m, never binds here. util(1) = 408/816 = 0.5,
  // util(4) = 432/432 = 1. m = 2 is half-way in log m: util 0.75; 41.6 kB = 416 ns; time = 416/0.75
  // = 554.667 ns.
  Profile profile = toy::bare_profile();
  profile.gemm = {toy::gemm(1, 100, 100, 816e-9), toy::gemm(4, 100, 100, 432e-9)};
  const Priced p = priced(OperatorCost(profile), gemm_op(2, 100, 100));
  EXPECT_NEAR(p.time.count(), 416e-9 / 0.75, 1e-18);
  EXPECT_EQ(p.tier, Tier::kInterpolated);
}

TEST(OperatorCost, OutsideTheCurveTheEdgeUtilisationHolds) {
  Profile profile = toy::bare_profile();
  profile.gemm = {toy::gemm(2, 100, 100, 832e-9)};  // sol 416 ns, util 0.5
  const Priced p = priced(OperatorCost(profile), gemm_op(4, 100, 100));
  EXPECT_NEAR(p.time.count(), 432e-9 / 0.5, 1e-18);
  EXPECT_EQ(p.tier, Tier::kEdge);
}

TEST(OperatorCost, AnUnknownSiteBlendsItsNeighboursByInverseSquareDistance) {
  // Sites (128, 64) util 0.5 and (1024, 64) util 0.8; query (256, 64): distances 1 and 2 octaves,
  // weights 1 and 1/4: 1/util = (1/0.5 + 1/0.8/4)/1.25 = 1.85.
  const auto sol = [](double n) { return 4.0 * (n * 64.0 + 64.0 + n) / 100e9; };  // m = 1
  Profile profile = toy::bare_profile();
  profile.gemm = {toy::gemm(1, 128, 64, sol(128) / 0.5), toy::gemm(1, 1024, 64, sol(1024) / 0.8)};
  const Priced p = priced(OperatorCost(profile), gemm_op(1, 256, 64));
  EXPECT_NEAR(p.time.count(), sol(256) * 1.85, 1e-15);
  EXPECT_EQ(p.tier, Tier::kInterpolated);
}

TEST(OperatorCost, AnotherThreadCountCarriesTheUtilisationOver) {
  // Sampled with 2 threads at util 0.5; asked with 1 thread: 60 GB/s, so 416·100/60 ns / 0.5.
  Profile profile = toy::bare_profile();
  profile.gemm = {toy::gemm(2, 100, 100, 832e-9)};
  const Priced p = priced(OperatorCost(profile), gemm_op(2, 100, 100), {1, 1});
  EXPECT_NEAR(p.time.count(), 41600.0 / 60e9 / 0.5, 1e-15);
  EXPECT_EQ(p.tier, Tier::kNeighbour);
}

TEST(OperatorCost, RanksThatComputeTogetherShareBandwidth) {
  const Ceilings alone = ceilings(toy::bare_profile(), 1, 1);
  const Ceilings together = ceilings(toy::bare_profile(), 1, 2);
  EXPECT_DOUBLE_EQ(alone.bandwidth.value(), 60e9);
  EXPECT_DOUBLE_EQ(together.bandwidth.value(), 50e9);  // 100 GB/s of two threads, half each
  EXPECT_DOUBLE_EQ(together.rate.value(), 0.5e12);
}

AttentionSample attention_sample(std::int64_t sequences, std::int64_t tokens, std::int64_t context,
                                 double seconds) {
  AttentionSample s;
  s.sequences = sequences;
  s.tokens = tokens;
  s.context = context;
  s.q_heads = 4;
  s.kv_heads = 2;
  s.head_dim = 16;
  s.threads = 2;
  s.time = Seconds(seconds);
  return s;
}

TEST(OperatorCost, DecodeAttentionIsLinearBetweenContextsAndBatches) {
  Profile profile = toy::bare_profile();
  profile.attention = {attention_sample(1, 1, 15, 1e-6), attention_sample(1, 1, 31, 2e-6),
                       attention_sample(3, 1, 15, 3e-6), attention_sample(3, 1, 31, 5e-6)};
  // 2 sequences after 23 positions: 24 keys lie half-way between 16 and 32, 2 half-way between 1
  // and 3: rows give 1.5 us and 4 us, their middle is 2.75 us.
  const Priced p = priced(OperatorCost(profile), attention_op(OpKind::kAttentionDecode, 2, 1, 23));
  EXPECT_NEAR(p.time.count(), 2.75e-6, 1e-15);
  EXPECT_EQ(p.tier, Tier::kInterpolated);
}

TEST(OperatorCost, BatchesOfDecodesAreComparedAtEqualKeysOfAll) {
  Profile profile = toy::bare_profile();
  profile.attention = {attention_sample(1, 1, 31, 2e-6), attention_sample(1, 1, 63, 4e-6),
                       attention_sample(4, 1, 7, 5e-6), attention_sample(4, 1, 15, 7e-6)};
  // 2 of 24 keys are 48 in all: of one sequence 3 us, of four of 12 keys 6 us; 2 lies a third of the way from 1 to 4.
  const Priced p = priced(OperatorCost(profile), attention_op(OpKind::kAttentionDecode, 2, 1, 23));
  EXPECT_NEAR(p.time.count(), 4e-6, 1e-15);
  EXPECT_EQ(p.tier, Tier::kInterpolated);
}

TEST(OperatorCost, AHoleOfARowIsAlsoFilledFromTheRowsBesideIt) {
  Profile profile = toy::bare_profile();
  profile.attention = {attention_sample(1, 1, 31, 2e-6), attention_sample(2, 1, 7, 2e-6),
                       attention_sample(2, 1, 31, 6e-6), attention_sample(4, 1, 7, 4e-6)};
  // 2 of 16 keys: along the row 2 + 4/3 us; at 32 keys in all 2 us of one and 4 us of four sequences, 2 + 2/3 us of two.
  const Priced p = priced(OperatorCost(profile), attention_op(OpKind::kAttentionDecode, 2, 1, 15));
  EXPECT_NEAR(p.time.count(), 3e-6, 1e-15);
}

TEST(OperatorCost, SeveralPromptsOfAStepHaveAGridOfTheirOwn) {
  Profile profile = toy::bare_profile();
  profile.attention = {attention_sample(1, 16, 0, 1e-6), attention_sample(1, 32, 0, 4e-6),
                       attention_sample(4, 16, 0, 2e-6), attention_sample(4, 32, 0, 8e-6)};
  const OperatorCost cost(profile);
  // Four of 24 tokens: the root of time half-way from √2 to √8 us. Two of 16: a third of the way from one to four.
  EXPECT_NEAR(priced(cost, attention_op(OpKind::kAttentionPrefill, 4, 24, 0)).time.count(), 4.5e-6, 1e-15);
  EXPECT_NEAR(priced(cost, attention_op(OpKind::kAttentionPrefill, 2, 16, 0)).time.count(), 4e-6 / 3.0, 1e-15);
}

TEST(OperatorCost, PrefillAttentionIsInterpolatedInTheRootOfTime) {
  Profile profile = toy::bare_profile();
  profile.attention = {attention_sample(1, 16, 0, 1e-6), attention_sample(1, 32, 0, 9e-6)};
  // 24 tokens: sqrt(time) half-way between 1 and 3 → 2² = 4 us; two such slices cost twice that.
  EXPECT_NEAR(
      priced(OperatorCost(profile), attention_op(OpKind::kAttentionPrefill, 1, 24, 0)).time.count(),
      4e-6, 1e-14);
  EXPECT_NEAR(
      priced(OperatorCost(profile), attention_op(OpKind::kAttentionPrefill, 2, 24, 0)).time.count(),
      8e-6, 1e-14);
}

TEST(OperatorCost, StreamTimeIsLinearInBytesAndKeepsItsIntercept) {
  Profile profile = toy::bare_profile();
  profile.stream = {{"norm", Bytes(1000), 2, 1, Seconds(2e-6), 0.0},
                    {"norm", Bytes(3000), 2, 1, Seconds(4e-6), 0.0}};
  const OperatorCost cost(profile);
  Op op;
  op.kind = OpKind::kNorm;
  const auto time_of = [&](double bytes) {
    op.activation_bytes = Bytes(bytes);
    return priced(cost, op).time.count();
  };
  EXPECT_NEAR(time_of(2000), 3e-6, 1e-18);
  EXPECT_NEAR(time_of(500), 1.5e-6, 1e-18);  // intercept 1 us + 1 ns a byte
  EXPECT_NEAR(time_of(6000), 8e-6, 1e-18);   // the last point's rate
}

TEST(OperatorCost, CollectivesAreInterpolatedInLogarithms) {
  Profile profile = toy::bare_profile();
  profile.collectives = {{"all_reduce", "thread", 2, Bytes(100), Seconds(1e-6), 0.0},
                         {"all_reduce", "thread", 2, Bytes(10000), Seconds(100e-6), 0.0}};
  Op op;
  op.kind = OpKind::kAllReduce;
  op.group = 2;
  op.message_bytes = Bytes(1000);
  EXPECT_NEAR(priced(OperatorCost(profile), op).time.count(), 10e-6, 1e-17);
  op.message_bytes = Bytes(10);
  EXPECT_NEAR(priced(OperatorCost(profile), op).time.count(), 1e-6, 1e-18);  // the floor holds
}

TEST(OperatorCost, OfSeveralImplementationsTheFastestAnswersUnlessOneIsNamed) {
  Profile profile = toy::bare_profile();
  profile.collectives = {{"all_reduce", "nccl", 2, Bytes(1000), Seconds(15e-6), 0.0},
                         {"all_reduce", "nccl", 2, Bytes(1e6), Seconds(20e-6), 0.0},
                         {"all_reduce", "one-shot", 2, Bytes(1000), Seconds(3e-6), 0.0},
                         {"all_reduce", "one-shot", 2, Bytes(1e6), Seconds(50e-6), 0.0}};
  Op op;
  op.kind = OpKind::kAllReduce;
  op.group = 2;
  op.message_bytes = Bytes(1000);
  EXPECT_NEAR(priced(OperatorCost(profile), op).time.count(), 3e-6, 1e-17);
  Interconnect named;
  named.backend = "nccl";
  EXPECT_NEAR(priced(OperatorCost(profile, named), op).time.count(), 15e-6, 1e-17);
  op.message_bytes = Bytes(1e6);
  EXPECT_NEAR(priced(OperatorCost(profile), op).time.count(), 20e-6, 1e-17);
}

TEST(OperatorCost, CollectiveSamplesSayNothingOfPathsBeyondTheirDomain) {
  Profile profile = toy::bare_profile();
  profile.collectives = {{"all_reduce", "nccl", 2, Bytes(1e6), Seconds(20e-6), 0.0}};
  Op op;
  op.kind = OpKind::kAllReduce;
  op.group = 2;
  op.message_bytes = Bytes(1e6);
  Interconnect nic;
  nic.bandwidth = BytesPerSecond(1e9);
  nic.sampled = false;
  const Priced p = priced(OperatorCost(profile, nic), op);
  EXPECT_EQ(p.tier, Tier::kAnalytic);
  EXPECT_GT(p.time.count(), 1e-3);
}

// Six rows over three experts are three products of two rows, the very kernel that was sampled.
TEST(OperatorCost, ACpuMultipliesExpertAfterExpert) {
  Profile profile = toy::bare_profile();
  profile.gemm = {toy::gemm(2, 100, 100, 7e-6), toy::gemm(6, 100, 100, 9e-6)};
  Op op = gemm_op(6, 100, 100);
  op.kind = OpKind::kMoeGemm;
  op.experts_hit = 3;
  op.experts = 8;
  const Priced p = priced(OperatorCost(profile), op);
  EXPECT_NEAR(p.time.count(), 21e-6, 21e-6 * kExact);
  EXPECT_EQ(p.tier, Tier::kMeasured);
  // A GPU's grouped kernel is another one.
  profile.compute_capability = 90;
  EXPECT_EQ(priced(OperatorCost(profile), op).tier, Tier::kNeighbour);
}

TEST(OperatorCost, AnotherNumberOfRanksRescalesAsTheFormulaDoes) {
  // Ring of 0.75 · 100 GB/s: 2(n-1)/n · 1 GB is 13.333 ms for 2 ranks, 23.333 ms for 8, 12 us of start beside it.
  Profile profile = toy::bare_profile();
  profile.collectives = {{"all_reduce", "nccl", 2, Bytes(1e9), Seconds(10e-3), 0.0}};
  Op op;
  op.kind = OpKind::kAllReduce;
  op.group = 8;
  op.message_bytes = Bytes(1e9);
  Interconnect path;
  path.bandwidth = BytesPerSecond(100e9);
  const Priced p = priced(OperatorCost(profile, path), op);
  EXPECT_EQ(p.tier, Tier::kNeighbour);
  EXPECT_NEAR(p.time.count(), 10e-3 * (23.33333e-3 + 12e-6) / (13.33333e-3 + 12e-6), 1e-8);
}

TEST(OperatorCost, AnEightBitSampleIsHeldAgainstTheRateOfItsFormat) {
  Profile profile = datasheet_profile(toy::gpu_device());
  profile.matrix_rates[Dtype::kFp8] = profile.matrix_rate * 2.0;
  GemmSample sample;
  sample.dtype = Dtype::kFp8;
  sample.m = sample.n = sample.k = 8192;
  sample.time = Seconds(9e-3);
  profile.gemm = {sample};
  const OperatorCost cost(profile);
  const Op op = gemm_op(8192, 8192, 8192);
  EXPECT_NEAR(std::get<Priced>(cost.price(op, Dtype::kFp8, {1, 1})).time.count(), 9e-3, 9e-3 * kExact);
  // The LM head stays in bf16, whose rate is half.
  Op head = op;
  head.site = GemmSite::kLmHead;
  const Priced p = std::get<Priced>(cost.price(head, Dtype::kFp8, {1, 1}));
  EXPECT_EQ(p.tier, Tier::kNeighbour);
  EXPECT_NEAR(p.time.count(), 18e-3, 18e-3 * kExact);
}

// Beside them FP8 ones, which come first and say nothing of f16.
TEST(OperatorCost, OnAGpuSamplesOfOneSixteenBitFormatStandForBoth) {
  Profile profile = datasheet_profile(toy::gpu_device());
  GemmSample sample;
  sample.m = sample.n = sample.k = 8192;
  sample.dtype = Dtype::kFp8;
  sample.time = Seconds(9e-3);
  profile.gemm = {sample};
  sample.dtype = Dtype::kBf16;
  sample.time = Seconds(17e-3);
  profile.gemm.push_back(sample);
  const Op op = gemm_op(8192, 8192, 8192);
  const Priced from_bf16 = std::get<Priced>(OperatorCost(profile).price(op, Dtype::kF16, {1, 1}));
  EXPECT_EQ(from_bf16.tier, Tier::kMeasured);
  EXPECT_NEAR(from_bf16.time.count(), 17e-3, 17e-3 * kExact);
  // Its own where there are any.
  sample.dtype = Dtype::kF16;
  sample.time = Seconds(16e-3);
  profile.gemm.push_back(sample);
  EXPECT_NEAR(std::get<Priced>(OperatorCost(profile).price(op, Dtype::kF16, {1, 1})).time.count(), 16e-3, 16e-3 * kExact);
  EXPECT_NEAR(std::get<Priced>(OperatorCost(profile).price(op, Dtype::kBf16, {1, 1})).time.count(), 17e-3, 17e-3 * kExact);
  // A CPU has an instruction for one of them.
  profile.gemm.pop_back();
  profile.compute_capability = 0;
  EXPECT_EQ(std::get<Priced>(OperatorCost(profile).price(op, Dtype::kF16, {1, 1})).tier, Tier::kNeighbour);
}

TEST(OperatorCost, AttentionIsPricedByTheFormatOfTheCache) {
  Profile profile = toy::bare_profile();
  AttentionSample sample = {Dtype::kF32, 1, 1, 999, 4, 2, 16, 2, 1, Seconds(5e-6), 0.0};
  profile.attention = {sample};
  sample.dtype = Dtype::kFp8;
  sample.time = Seconds(2e-6);
  profile.attention.push_back(sample);
  const OperatorCost cost(profile);
  // An f32 cache under fp8 weights.
  const Op op = attention_op(OpKind::kAttentionDecode, 1, 1, 999);
  EXPECT_NEAR(std::get<Priced>(cost.price(op, Dtype::kFp8, {2, 1})).time.count(), 5e-6, 5e-6 * kExact);
  // Latent attention is another kernel: these samples do not know it.
  Op latent = op;
  latent.kv_heads = 1;
  latent.head_dim = latent.latent = 20;
  latent.kv_bytes = Bytes(1000.0 * 20.0 * 4.0);
  EXPECT_EQ(std::get<Priced>(cost.price(latent, Dtype::kFp8, {2, 1})).tier, Tier::kAnalytic);
}

// Prompts of two heads with keys of 24 and values of 16, whose cache holds 20 f32 per token. A prompt of 64 has
// 64 · 65 / 2 visible pairs.
Op latent_prompts(std::int64_t prompts) {
  Op op;
  op.kind = OpKind::kAttentionPrefill;
  op.q_heads = op.kv_heads = 2;
  op.head_dim = 24;
  op.value_dim = 16;
  op.latent = 20;
  op.tokens = op.kv_tokens = 64 * prompts;
  op.flop = Flop(2.0 * static_cast<double>(prompts) * 2080.0 * 2.0 * (24.0 + 16.0));
  op.kv_bytes = Bytes(static_cast<double>(op.kv_tokens) * 20.0 * 4.0);
  return op;
}

TEST(OperatorCost, PromptsOfLatentAttentionHaveSamplesOfTheirOwn) {
  Profile profile = toy::bare_profile();
  profile.attention = {{Dtype::kF32, 1, 64, 0, 4, 2, 16, 2, 1, Seconds(5e-6), 0.0}};
  // Heads of another width are another kernel.
  EXPECT_EQ(priced(OperatorCost(profile), latent_prompts(1)).tier, Tier::kAnalytic);
  profile.attention.push_back({Dtype::kF32, 1, 64, 0, 2, 2, 24, 2, 1, Seconds(8e-6), 0.0});
  const OperatorCost cost(profile);
  const Priced one = priced(cost, latent_prompts(1));
  EXPECT_EQ(one.tier, Tier::kMeasured);
  EXPECT_NEAR(one.time.count(), 8e-6, 1e-15);
  EXPECT_NEAR(priced(cost, latent_prompts(3)).time.count(), 24e-6, 1e-15);
  // Nor do grouped heads take it, though theirs are as many: the same work as the 4 heads of 16 halved.
  Op grouped = attention_op(OpKind::kAttentionPrefill, 1, 64, 0);
  grouped.q_heads = 2;
  grouped.flop = grouped.flop * 0.5;
  grouped.activation_bytes = grouped.activation_bytes * 0.5;
  EXPECT_LT(priced(cost, grouped).time.count(), 5.1e-6);
}

TEST(OperatorCost, WiderGroupedHeadsDoNotTakeTheKernelsOfLatentAttention) {
  Profile profile = toy::bare_profile();
  profile.attention = {{Dtype::kF32, 1, 64, 0, 4, 2, 128, 2, 1, Seconds(5e-6), 0.0}};
  Op wide = attention_op(OpKind::kAttentionPrefill, 1, 64, 0);
  wide.head_dim = 256;
  wide.flop = wide.flop * 16.0;
  wide.kv_bytes = wide.kv_bytes * 16.0;
  const Seconds alone = priced(OperatorCost(profile), wide).time;
  profile.attention.push_back({Dtype::kF32, 1, 64, 0, 4, 4, 192, 2, 1, Seconds(90e-6), 0.0});  // nearer to 256
  EXPECT_EQ(priced(OperatorCost(profile), wide).time, alone);
}

TEST(OperatorCost, ACollectiveWithoutSampleOrLinkIsAMissThatNamesIt) {
  Op op;
  op.kind = OpKind::kAllReduce;
  op.group = 8;
  op.message_bytes = Bytes(4096);
  const Price price = OperatorCost(toy::bare_profile()).price(op, Dtype::kF32, {1, 1});
  ASSERT_TRUE(std::holds_alternative<Miss>(price));
  EXPECT_EQ(std::get<Miss>(price).key, "all_reduce ranks=8 bytes=4096");
  EXPECT_EQ(std::get<Miss>(price).device, "toy");
}

TEST(OperatorCost, WithoutSamplesTheDatasheetAnswersAndSaysSo) {
  // 1 TB/s, 100 TFLOP/s, of Hopper's class. Norm of 8 MB: 8e6/(0.8·1e12) + 3 us launch = 13 us. GEMM
  // of 1×1000×1000 in bf16, bound by its 2,004,000 bytes: 2.505 us, of the 2e6/(0.60·1e14) =
  // 33.33 ns of arithmetic 0.3 is not hidden, and the launch.
  const Profile profile = datasheet_profile(toy::gpu_device());
  const OperatorCost cost(profile);
  Op norm;
  norm.kind = OpKind::kNorm;
  norm.activation_bytes = Bytes(8e6);
  const Priced p = std::get<Priced>(cost.price(norm, Dtype::kBf16, {1, 1}));
  EXPECT_NEAR(p.time.count(), 13e-6, 1e-15);
  EXPECT_EQ(p.tier, Tier::kAnalytic);
  Op gemm;
  gemm.kind = OpKind::kGemm;
  gemm.m = 1;
  gemm.n = gemm.k = 1000;
  gemm.flop = Flop(2e6);
  gemm.weight_bytes = Bytes(2e6);
  gemm.activation_bytes = Bytes(4e3);
  const Priced g = std::get<Priced>(cost.price(gemm, Dtype::kBf16, {1, 1}));
  EXPECT_NEAR(g.time.count(), 2.505e-6 + 0.3 * (2e6 / 0.6e14) + 3e-6, 1e-15);
}

RC_GTEST_PROP(OperatorCostProperty, TimeIsAtLeastTheSpeedOfLightWhileUtilisationIsAtMostOne, ()) {
  Profile profile = toy::bare_profile();
  const int sites = *rc::gen::inRange(1, 5);
  for (int i = 0; i < sites; ++i) {
    const std::int64_t n = *rc::gen::inRange(1, 4096);
    const std::int64_t k = *rc::gen::inRange(1, 4096);
    for (const std::int64_t m : {1, 16, 256}) {
      const double util = *rc::gen::inRange(1, 100) / 100.0;
      const Work work =
          gemm_work(static_cast<double>(m), static_cast<double>(n), static_cast<double>(k), 4.0);
      profile.gemm.push_back(toy::gemm(
          m, n, k, roofline(work.flop, work.bytes, ceilings(profile, 2, 1)).count() / util));
    }
  }
  const OperatorCost cost(profile);
  const Op op =
      gemm_op(*rc::gen::inRange(1, 2048), *rc::gen::inRange(1, 9000), *rc::gen::inRange(1, 9000));
  const Price price = cost.price(op, Dtype::kF32, {2, 1});
  const Seconds sol = cost.speed_of_light(op, Dtype::kF32, {2, 1});
  RC_ASSERT(std::get<Priced>(price).time.count() >= sol.count() * (1.0 - 1e-12));
}

RC_GTEST_PROP(OperatorCostProperty, MoreBandwidthOrRateNeverSlowsTheDatasheet, ()) {
  Device slow = toy::gpu_device();
  Device fast = slow;
  fast.memory_bandwidth = slow.memory_bandwidth * (1.0 + *rc::gen::inRange(0, 300) / 100.0);
  fast.peak[Dtype::kBf16] = slow.peak[Dtype::kBf16] * (1.0 + *rc::gen::inRange(0, 300) / 100.0);
  Op op =
      gemm_op(*rc::gen::inRange(1, 4096), *rc::gen::inRange(1, 4096), *rc::gen::inRange(1, 4096));
  op.kind = *rc::gen::element(OpKind::kGemm, OpKind::kNorm, OpKind::kMoeGemm);
  const OperatorCost slow_cost(datasheet_profile(slow));
  const OperatorCost fast_cost(datasheet_profile(fast));
  const Price a = slow_cost.price(op, Dtype::kBf16, {1, 1});
  const Price b = fast_cost.price(op, Dtype::kBf16, {1, 1});
  RC_ASSERT(std::get<Priced>(b).time <= std::get<Priced>(a).time);
}

RC_GTEST_PROP(OperatorCostProperty, MixedPrefillIsPricedByTheEqualSlicesWithItsTotals, ()) {
  // For equal slices the reconstruction must return them: J slices cost J times one.
  Profile profile = toy::bare_profile();
  profile.attention = {attention_sample(1, 16, 0, 3e-6), attention_sample(1, 256, 0, 90e-6),
                       attention_sample(1, 16, 512, 9e-6), attention_sample(1, 256, 512, 300e-6)};
  const OperatorCost cost(profile);
  const std::int64_t slices = *rc::gen::inRange(1, 9);
  const std::int64_t tokens = *rc::gen::inRange(2, 512);
  const std::int64_t context = *rc::gen::inRange(0, 1024);
  const Price one =
      cost.price(attention_op(OpKind::kAttentionPrefill, 1, tokens, context), Dtype::kF32, {2, 1});
  const Price all = cost.price(attention_op(OpKind::kAttentionPrefill, slices, tokens, context),
                               Dtype::kF32, {2, 1});
  const double expected = std::get<Priced>(one).time.count() * static_cast<double>(slices);
  RC_ASSERT(std::abs(std::get<Priced>(all).time.count() / expected - 1.0) < 1e-9);
}

}  // namespace
}  // namespace lindos::sim
