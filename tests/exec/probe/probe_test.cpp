// SPDX-License-Identifier: Apache-2.0
#include "exec/probe/probe.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scenarios/error.h"
#include "tests/exec/engine_harness.h"

namespace lindos::exec {
namespace {

// Two like ranks in each of two stages, one token budget: the fewest shapes that still have every op.
ProbeRequest tiny_request() {
  EngineConfig config = harness::tiny_config({"", {1, 1}, {1, 1}, KvSplit::kWholeGroups});
  config.group.limits.max_batched_tokens = 16;
  ProbeRequest request;
  request.model = config.model;
  request.groups = {config.group};
  request.cores = 1;
  return request;
}

// One rank, dense and expert layers, a shared expert.
ProbeRequest moe_request() {
  const Model model = harness::tiny_moe_model();
  EngineConfig config = harness::make_config(model, make_synthetic(model, 7, Dtype::kF32));
  config.group.limits.max_batched_tokens = 16;
  ProbeRequest request;
  request.model = model;
  request.groups = {config.group};
  return request;
}

// What each sample must be to be a point of a curve that sim interpolates.
template <class Sample>
void expect_positive(const std::vector<Sample>& samples) {
  EXPECT_FALSE(samples.empty());
  for (const Sample& sample : samples) {
    EXPECT_GT(sample.time.count(), 0.0);
    EXPECT_TRUE(std::isfinite(sample.spread));
    EXPECT_GE(sample.spread, 0.0);
  }
}

struct Probed {
  Profile profile;
  std::vector<double> fractions;  // that its progress reported
};

// Once per request: a probe takes seconds.
const Probed& probed(ProbeRequest (*request_of)()) {
  static std::map<ProbeRequest (*)(), Probed> made;
  auto& slot = made[request_of];
  if (slot.fractions.empty()) {
    ProbeRequest request = request_of();
    request.progress = [&](const std::string&, double fraction) { slot.fractions.push_back(fraction); };
    slot.profile = probe(request);
  }
  return slot;
}

class ProbeOf : public ::testing::TestWithParam<ProbeRequest (*)()> {};
INSTANTIATE_TEST_SUITE_P(Models, ProbeOf, ::testing::Values(&tiny_request, &moe_request),
                         [](const auto& test) { return test.index == 0 ? "Dense" : "Experts"; });

TEST_P(ProbeOf, CoversEveryOpOfTheSharedListAndSurvivesItsFile) {
  const ProbeRequest request = GetParam()();
  const auto& [profile, fractions] = probed(GetParam());

  EXPECT_EQ(profile_from_json(to_json(profile), "profile.json"), profile);
  expect_positive(profile.gemm);
  expect_positive(profile.attention);
  expect_positive(profile.stream);
  if (request.groups.front().ranks_per_replica() > 1) expect_positive(profile.collectives);
  EXPECT_GT(profile.matrix_rate.value(), 0.0);
  EXPECT_GT(profile.read_bandwidth.value(), 0.0);
  EXPECT_EQ(profile.read_bandwidth_by_threads.size(), 1U);
  EXPECT_GE(profile.step_overhead.count(), 0.0);
  EXPECT_GT(profile.per_sequence_overhead.count(), 0.0);
  ASSERT_FALSE(fractions.empty());
  EXPECT_EQ(fractions.back(), 1.0);

  // Every op of every shard finds samples of its kind; a GEMM of its very shape.
  std::set<std::pair<std::int64_t, std::int64_t>> shapes;
  for (const GemmSample& s : profile.gemm) shapes.insert({s.n, s.k});
  std::set<std::string> streams, collectives;
  for (const StreamSample& s : profile.stream) streams.insert(s.op);
  for (const CollectiveSample& s : profile.collectives) collectives.insert(s.op);
  bool decode = false, prefill = false;
  for (const AttentionSample& s : profile.attention) (s.tokens == 1 ? decode : prefill) = true;
  EXPECT_TRUE(decode);
  EXPECT_TRUE(prefill);
  for (const GroupPlan& group : request.groups) {
    for (int stage = 0; stage < static_cast<int>(group.stages.size()); ++stage) {
      const auto ranks = static_cast<int>(group.stages[static_cast<std::size_t>(stage)].ranks.size());
      for (int rank = 0; rank < ranks; ++rank) {
        for (const Op& op : step_ops(request.model, group, {stage, rank}, {{0, 15, true}, {20, 1, true}})) {
          const std::string name = name_of(op.kind);
          switch (op.kind) {
            case OpKind::kMoeGemm:
            case OpKind::kGemm: EXPECT_TRUE(shapes.contains({op.n, op.k})) << name_of(op.site); break;
            case OpKind::kNorm:
            case OpKind::kResidual:
            case OpKind::kActivation:
            case OpKind::kMoeRoute:
            case OpKind::kRopeKvWrite: EXPECT_TRUE(streams.contains(name)) << name; break;
            case OpKind::kAllReduce:
            case OpKind::kAllGather:
            case OpKind::kSendRecv: EXPECT_TRUE(collectives.contains(name)) << name; break;
            default: break;   // attention above; embedding by bandwidth; sampling in per_sequence_overhead
          }
        }
      }
    }
  }
}

// The layers of a stage in place know which experts each rank holds, so that another model of the same width does not use them.
TEST(Probe, NamesTheExpertsOfItsStages) {
  const ProbeRequest request = moe_request();
  const Profile& profile = probed(&moe_request).profile;
  ASSERT_FALSE(profile.stages.empty());
  for (const StageSample& sample : profile.stages) {
    EXPECT_EQ(sample.ranks.front().experts, 6);
    EXPECT_EQ(sample.ranks.front().expert_ffn, 48);
    EXPECT_EQ(sample.layers, request.model.layers);  // dense and expert layers in their proportion
  }
}

TEST(Probe, EndsWhenCancelled) {
  ProbeRequest request = tiny_request();
  int polls = 0;
  request.cancelled = [&] { return ++polls == 2; };
  try {
    (void)probe(request);
    FAIL() << "not cancelled";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kCancelled);
  }
  EXPECT_EQ(polls, 2);
}

class CpuLabel : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(root_); }
  void TearDown() override { std::filesystem::remove_all(root_); }
  void write(const std::string& text) { std::ofstream(root_ / "cpuinfo") << text; }
  std::filesystem::path root_ = std::filesystem::path(::testing::TempDir()) / ("lindos-proc-" + std::to_string(::getpid()));
};

TEST_F(CpuLabel, IsTheModelName) {
  write("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n\nprocessor\t: 1\nmodel name\t: Other\n");
  EXPECT_EQ(cpu_label(root_.string()), "Some CPU @ 2 GHz");
}

TEST_F(CpuLabel, IsUnknownWithoutOne) {
  EXPECT_EQ(cpu_label(root_.string()), "unknown CPU");
  write("processor\t: 0\nmodel name\n");
  EXPECT_EQ(cpu_label(root_.string()), "unknown CPU");
  write("model name:");
  EXPECT_EQ(cpu_label(root_.string()), "unknown CPU");
}

TEST(Machine, HasACoreAndMemory) {
  EXPECT_GE(usable_cores(), 1);
  EXPECT_GT(machine_memory().value(), 1e8);
}

}  // namespace
}  // namespace lindos::exec
