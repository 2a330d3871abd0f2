// SPDX-License-Identifier: Apache-2.0
#include "exec/telemetry/measured_record.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scenarios/metrics.h"
#include "tests/exec/engine_harness.h"

namespace lindos::exec {
namespace {

using harness::Layout;

// Above what any CPU reaches, so that no kernel is faster than its roofline.
Profile ceilings() {
  Profile profile;
  profile.device = "this-machine";
  profile.matrix_rate = FlopPerSecond{1e14};
  profile.read_bandwidth = BytesPerSecond{1e13};
  return profile;
}

constexpr double kGap = 0.5;  // seconds; far above what a busy machine under a sanitizer takes for the first request

// One request now, two more after a pause in which nothing can run.
EngineRun run_with_a_pause(Replica& replica) {
  RunOptions options;
  options.prompt = [](const RequestSpec& r) { return harness::make_prompt(r.prompt_tokens, r.id, 200); };
  EngineRun first = replica.run({{0, Seconds{0}, 12, 5}}, options);   // weights touched once
  return replica.run({{0, Seconds{0}, 12, 5}, {1, first.wall + Seconds{kGap}, 20, 5}, {2, first.wall + Seconds{kGap}, 3, 1}},
                     options);
}

double share_of(const RunRecord& record, Cause cause) {
  for (const LedgerEntry& entry : record.ledger) {
    if (entry.cause == cause) return entry.share;
  }
  return 0.0;
}

class MeasuredRecord : public ::testing::TestWithParam<Layout> {};

TEST_P(MeasuredRecord, BooksEachDeviceSecondOnce) {
  const EngineConfig config = harness::tiny_config(GetParam());
  const auto replica = Replica::in_process(config);
  const std::vector<EngineRun> runs = {run_with_a_pause(*replica), run_with_a_pause(*replica)};
  for (const EngineRun& run : runs) {
    ASSERT_EQ(run.ranks.size(), static_cast<std::size_t>(config.group.ranks_per_replica()));
    EXPECT_EQ(run.steps.size(), run.step_times.size());
    EXPECT_GT(run.no_work.count(), kGap / 2);
    const Ledger ledger = measured_ledger(run, config, ceilings());
    EXPECT_NEAR(ledger.capacity_flop(), ceilings().matrix_rate.value() * run.wall.count(),
                1e-9 * ledger.capacity_flop());
  }

  RunRecord record = measured_record(runs, config, ceilings(), {});
  double sum = 0.0;
  for (const LedgerEntry& entry : record.ledger) {
    EXPECT_GE(entry.share, 0.0) << name_of(entry.cause);
    EXPECT_LE(entry.p10, entry.p90) << name_of(entry.cause);
    sum += entry.share;
  }
  EXPECT_NEAR(sum, 1.0, 1e-9);
  EXPECT_GT(share_of(record, Cause::kUseful), 0.0);
  EXPECT_GT(share_of(record, Cause::kMemoryBound), 0.0);
  const double idle = (runs[0].no_work / runs[0].wall + runs[1].no_work / runs[1].wall) / 2.0;
  EXPECT_NEAR(share_of(record, Cause::kNoWork), idle, 0.02);
  const bool tensor = config.group.stages.front().ranks.size() > 1;
  const bool pipeline = config.group.stages.size() > 1;
  EXPECT_EQ(share_of(record, Cause::kExposedTensor) > 0.0, tensor);
  EXPECT_EQ(share_of(record, Cause::kExposedPipeline) > 0.0, pipeline);
  // MFU is the useful share, by another path: FLOP of the steps over peak.
  EXPECT_NEAR(record.metrics.at("mfu").p50, share_of(record, Cause::kUseful), 1e-3 * record.metrics.at("mfu").p50 + 1e-12);
}

TEST_P(MeasuredRecord, HoldsEveryMetricInItsUnit) {
  const EngineConfig config = harness::tiny_config(GetParam());
  const auto replica = Replica::in_process(config);
  const EngineRun run = run_with_a_pause(*replica);
  RunRecord record = measured_record({run}, config, ceilings(), {});
  std::vector<std::string> names;
  for (const auto& [name, value] : record.metrics) names.push_back(name);
  EXPECT_THAT(names, ::testing::UnorderedElementsAre("ttft_s", "tpot_s", "e2e_latency_s", "output_tokens_per_s",
                                                     "requests_per_s", "goodput", "mfu", "mbu", "roofline_utilisation",
                                                     "step_time_s", "memory_peak_bytes", "kv_blocks"));
  EXPECT_EQ(record.metrics.at("kv_blocks").p50, 64.0);
  EXPECT_EQ(record.metrics.at("goodput").p50, 1.0);
  double memory = 0.0;
  for (const RankReport& rank : run.ranks) memory = std::max(memory, rank.weight_bytes + rank.kv_bytes + rank.scratch_bytes);
  EXPECT_EQ(record.metrics.at("memory_peak_bytes").p50, memory);
  EXPECT_EQ(record.source, RunSource::kMeasured);
  EXPECT_EQ(record.repeats, 1);
  // What the engine does not know is the caller's.
  record.scenario_digest = record.plan_digest = std::string(64, '0');
  EXPECT_NO_THROW(validate_run_record(record, "record"));
}

// Three prompts of 40 tokens one after the other, 32 in common: 2 × 32 of 120 tokens are found.
TEST_P(MeasuredRecord, SaysHowMuchOfThePromptsWasFound) {
  EngineConfig config = harness::tiny_config(GetParam());
  config.group.limits.prefix_reuse = true;
  const auto beginning = std::make_shared<const PromptBeginning>(PromptBeginning{32, {5}});
  std::vector<RequestSpec> requests;
  for (std::uint64_t id = 0; id < 3; ++id) requests.push_back({id, Seconds{0}, 40, 2, id > 0, 6, beginning});
  RunOptions options;
  options.prompt = [](const RequestSpec& r) { return synthetic_prompt(r, 1, 200); };
  const EngineRun run = Replica::in_process(config)->run(requests, options);
  const RunRecord record = measured_record({run}, config, ceilings(), {});
  EXPECT_DOUBLE_EQ(record.metrics.at("prefix_hit_rate").p50, 64.0 / 120.0);
}

TEST(SyntheticPrompt, BeginsAsItsGroupAndGoesOnByItself) {
  const auto beginning = std::make_shared<const PromptBeginning>(PromptBeginning{20, {0, 3}});
  const auto prompt = [&](std::uint64_t id, std::shared_ptr<const PromptBeginning> begins) {
    return synthetic_prompt({id, Seconds{0}, 60, 1, false, 0, std::move(begins)}, 9, 30'000);
  };
  const auto a = prompt(0, beginning);
  const auto b = prompt(1, beginning);
  EXPECT_TRUE(std::equal(a.begin(), a.begin() + 40, b.begin()));
  EXPECT_FALSE(std::equal(a.begin() + 40, a.end(), b.begin() + 40));
  const auto other = prompt(0, std::make_shared<const PromptBeginning>(PromptBeginning{20, {0, 4}}));
  EXPECT_TRUE(std::equal(a.begin(), a.begin() + 20, other.begin()));
  EXPECT_FALSE(std::equal(a.begin() + 20, a.begin() + 40, other.begin() + 20));
  EXPECT_TRUE(std::equal(a.begin() + 40, a.end(), prompt(0, nullptr).begin() + 40));
}

TEST_P(MeasuredRecord, HashesTheTokens) {
  const EngineConfig config = harness::tiny_config(GetParam());
  harness::Engine engine(config);
  const auto record_of = [&](std::uint64_t salt) {
    return measured_record({engine.serve({harness::make_prompt(9, salt, 200)}, 8)}, config, ceilings(), {});
  };
  const std::string hash = record_of(1).output_hash;
  EXPECT_EQ(record_of(1).output_hash, hash);
  EXPECT_NE(record_of(2).output_hash, hash);
}

TEST(AboveCeilings, NamesWhatNoDeviceCanReach) {
  RunRecord record;
  EXPECT_THAT(above_ceilings(record), ::testing::IsEmpty());
  set_measured(record, "mfu", {0.4, 0.9, 1.4});
  set_measured(record, "mbu", {1.005});
  set_measured(record, "roofline_utilisation", {0.9, 1.3, 1.4});
  set_measured(record, "ttft_s", {3.0});
  EXPECT_THAT(above_ceilings(record), ::testing::ElementsAre("roofline_utilisation"));
}

INSTANTIATE_TEST_SUITE_P(Layouts, MeasuredRecord,
                         ::testing::Values(Layout{}, Layout{"Tensor2", {2, 1}, {1}, KvSplit::kReplicate},
                                           Layout{"Pipeline2", {1}, {2, 1}, KvSplit::kReplicate},
                                           Layout{"Tensor2Pipeline2", {1, 1}, {1, 1}, KvSplit::kReplicate}),
                         [](const ::testing::TestParamInfo<Layout>& test) { return test.param.name; });

}  // namespace
}  // namespace lindos::exec
