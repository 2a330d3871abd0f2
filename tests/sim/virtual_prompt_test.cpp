// SPDX-License-Identifier: Apache-2.0
// What prompts have in common, on the virtual clock: which tokens are equal, what reuse spares, and what it costs.
#include "sim/virtual_prompt.h"

#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "exec/scheduler/limits_from_plan.h"
#include "scenarios/balance.h"
#include "scenarios/error.h"
#include "scenarios/request_stream.h"
#include "scenarios/request_trace.h"
#include "sim/closed_serving.h"
#include "sim/datasheet.h"
#include "sim/maxplus.h"
#include "sim/replica_model.h"
#include "sim/simgrid_serving.h"
#include "tests/sim/toy_profile.h"

namespace lindos::sim {
namespace {

using ::testing::Each;

RequestSpec request(std::uint64_t id, std::int64_t prompt, std::int64_t tokens_per_id, std::vector<std::uint64_t> ids,
                    Seconds arrival = Seconds{0}, std::int64_t output = 4) {
  RequestSpec spec{id, arrival, prompt, output};
  spec.beginning = std::make_shared<const PromptBeginning>(PromptBeginning{tokens_per_id, std::move(ids)});
  return spec;
}

TEST(VirtualPrompt, IsEqualWhereTheIdsAreAndOnlyThere) {
  const auto a = virtual_prompt(request(1, 100, 32, {7, 8}));
  const auto b = virtual_prompt(request(2, 80, 32, {7, 9}));
  ASSERT_EQ(a.size(), 100U);
  ASSERT_EQ(b.size(), 80U);
  for (std::size_t i = 0; i < b.size(); ++i) EXPECT_EQ(a[i] == b[i], i < 32) << i;
  EXPECT_THAT(a, Each(::testing::Gt(0)));  // 0 is what a virtual step samples
}

// A request's own tokens are no beginning's, even where the numbers are equal; ids go far.
TEST(VirtualPrompt, OwnTokensAreNobodyElses) {
  const auto own = virtual_prompt({7, Seconds{0}, 4, 1});
  EXPECT_NE(own.front(), virtual_prompt(request(1, 4, 4, {7})).front());
  EXPECT_NE(own.front(), virtual_prompt({8, Seconds{0}, 4, 1}).front());
  constexpr std::uint64_t kLast = (std::uint64_t{1} << 30U) - 1;
  for (const std::uint64_t id : {std::uint64_t{0}, kLast - 1, kLast, kLast + 1, ~std::uint64_t{0}}) {
    EXPECT_GT(virtual_prompt({id, Seconds{0}, 1, 1}).front(), 0);
    EXPECT_GT(virtual_prompt(request(1, 1, 1, {id})).front(), 0);
  }
}

// Blocks of 16. The second prompt has 32 + 18 tokens in common with the first: 48 of them in full blocks. The third has
// only the first id: 32. The fourth is the first again, whose last token is computed: 48 of 64. The fifth has an id that
// was there, but after another one.
TEST(ReusableTokens, ByHand) {
  const std::vector<RequestSpec> requests = {request(0, 64, 32, {1, 2}), request(1, 50, 32, {1, 2}),
                                             request(2, 90, 32, {1, 3, 4}), request(3, 64, 32, {1, 2}),
                                             request(4, 64, 32, {2, 1}), {5, Seconds{0}, 64, 4}};
  EXPECT_EQ(reusable_tokens(requests, 16), 48 + 32 + 48);
}

// The first prompt ends within the second id: 8 tokens of it are known.
TEST(ReusableTokens, AnIdIsKnownAsFarAsAPromptWent) {
  EXPECT_EQ(reusable_tokens({request(0, 40, 32, {1, 2}), request(1, 64, 32, {1, 2})}, 8), 40);
  EXPECT_EQ(reusable_tokens({request(0, 40, 32, {1, 2}), request(1, 64, 32, {1, 2}), request(2, 64, 32, {1, 2})}, 8),
            40 + 56);
}

class PrefixReuse : public ::testing::Test {
 protected:
  static constexpr BytesPerSecond kHostBandwidth{50e9};
  static GroupPlan plan(int stages, bool reuse) {
    EngineLimits limits;
    limits.prefix_reuse = reuse;
    return make_plan(toy::model(), "pool", stages, {1.0}, {}, Dtype::kF32, limits, kCpuGranule).groups.front();
  }
  static ReplicaModel replica(int stages, Bytes kv_offload = Bytes{0}) {
    Profile profile = datasheet_profile(toy::gpu_device());
    profile.matrix_rate = FlopPerSecond(10e12);
    profile.matrix_rates.clear();
    GroupPlan group = plan(stages, true);
    group.limits.kv_offload = kv_offload;
    Device device = toy::gpu_device();
    device.host_bandwidth = kHostBandwidth;
    return ReplicaModel(toy::model(), group, {}, {{"pool", {device, profile}}});
  }
  static scheduler::Limits limits(int stages, bool reuse, std::int64_t blocks = 4096) {
    return scheduler::scheduler_limits(plan(stages, reuse), blocks, 0);
  }
  static std::vector<RequestSpec> in_turns() {  // four groups
    std::vector<RequestSpec> requests;
    for (std::uint64_t i = 0; i < 12; ++i)
      requests.push_back(request(i, 100, 64, {i % 4}, Seconds{static_cast<double>(i)}));
    return requests;
  }
  static std::vector<RequestSpec> apart() {  // each ends long before the next arrives
    std::vector<RequestSpec> requests;
    for (std::uint64_t i = 0; i < 6; ++i)
      requests.push_back(request(i, 100, 64, {i % 2}, Seconds{static_cast<double>(i)}));
    return requests;
  }
};

// 600 prompt tokens; four of six prompts find 64.
TEST_F(PrefixReuse, HitsWhatARequestAloneWouldFind) {
  ReplicaModel one = replica(1);
  const ServingRun run = serve_maxplus(one, limits(1, true), apart(), {});
  EXPECT_EQ(run.prefix_query_tokens, 600);
  EXPECT_EQ(run.prefix_hit_tokens, 256);
  const ServingRun without = serve_maxplus(one, limits(1, false), apart(), {});
  EXPECT_EQ(without.prefix_query_tokens, 0);
  EXPECT_EQ(without.timelines[0].token_times, run.timelines[0].token_times);
}

// A hit skips the prefill of what was found, not the reading of its KV: the step of the third request is that of 36
// tokens after 64, and its decodes are as long as without.
TEST_F(PrefixReuse, AHitIsPricedAsAChunkAfterItsPrefix) {
  ReplicaModel one = replica(1);
  const std::vector<RequestSpec> requests = apart();
  const auto times = [&](bool reuse) { return serve_maxplus(one, limits(1, reuse), requests, {}).timelines[2].token_times; };
  const auto step = [&](std::int64_t context, std::int64_t tokens) {
    return (one.step_overhead() + compute_time(one.work({{context, tokens, true}}, 0, 1), one.ranks(0), {})).count();
  };
  EXPECT_NEAR(times(true)[0].count() - 2.0, step(64, 36), 1e-12);
  EXPECT_NEAR(times(false)[0].count() - 2.0, step(0, 100), 1e-12);
  EXPECT_NEAR((times(true)[3] - times(true)[0]).count(), (times(false)[3] - times(false)[0]).count(), 1e-12);
}

TEST_F(PrefixReuse, AllRungsFindTheSameWhereNobodyMeets) {
  ReplicaModel two = replica(2);
  const ServingRun maxplus = serve_maxplus(two, limits(2, true), apart(), {});
  const std::vector<PlatformDevice> devices =
      stage_devices(plan(2, true), two, {{"pool", {toy::gpu_device(), {}}}}, {{"pool", 8}});
  const ServingRun simgrid = serve_simgrid_isolated(two, {}, devices, limits(2, true), apart(), {});
  const ServingRun closed = serve_closed(two, limits(2, true), apart());
  for (const ServingRun* run : {&maxplus, &simgrid, &closed}) {
    EXPECT_EQ(run->prefix_query_tokens, 600);
    EXPECT_EQ(run->prefix_hit_tokens, 256);
  }
  // Of the closed rung the prompts become shorter, the decodes do not.
  const ServingRun without = serve_closed(two, limits(2, false), apart());
  const auto first = [](const ServingRun& run) { return run.timelines[0].token_times[0] - run.timelines[0].arrival; };
  EXPECT_LT(first(closed), first(without));
}

// A pool of two prompts forgets each group before it comes again when four groups take turns; a large one does not.
TEST_F(PrefixReuse, ASmallPoolForgets) {
  ReplicaModel one = replica(1);
  const std::vector<RequestSpec> requests = in_turns();
  EXPECT_EQ(serve_maxplus(one, limits(1, true, 4096), requests, {}).prefix_hit_tokens, 8 * 64);
  EXPECT_EQ(serve_maxplus(one, limits(1, true, 14), requests, {}).prefix_hit_tokens, 0);
}

// Copies of each step.
class CopyWatch final : public ServingWatch {
 public:
  void step_started(const scheduler::Step& step, Seconds at) override {
    steps.push_back({at, std::ssize(step.copies)});
    batches.emplace_back();
    for (const scheduler::StepSlice& s : step.slices) {
      batches.back().push_back({s.first_position, std::ssize(s.tokens), s.wants_logits});
    }
  }
  void stage_done(std::size_t, Seconds, Seconds, Seconds) override {}
  [[nodiscard]] std::int64_t copies() const {
    std::int64_t sum = 0;
    for (const auto& [at, copies] : steps) sum += copies;
    return sum;
  }
  std::vector<std::pair<Seconds, std::int64_t>> steps;
  std::vector<Batch> batches;   // of them
};

// The small pool again, with host memory for all: what a group left comes back, at the price of the copies. A block is
// 16 tokens of KV over the link.
TEST_F(PrefixReuse, HostMemoryRemembersAtThePriceOfItsLink) {
  ReplicaModel one = replica(1, Bytes{1e9});
  const std::vector<RequestSpec> requests = in_turns();
  scheduler::Limits limits = this->limits(1, true, 14);
  limits.host_blocks = 1000;
  CopyWatch watch;
  const ServingRun run = serve_maxplus(one, limits, requests, {}, {}, &watch);
  EXPECT_EQ(run.prefix_hit_tokens, 8 * 64);
  EXPECT_EQ(run.host_hit_tokens, 8 * 64);

  const Seconds copy = one.block_copy(0);
  EXPECT_NEAR(copy.count(), (16.0 * kv_bytes_per_token(toy::model(), plan(1, true), {0, 0}) / kHostBandwidth).count(), 1e-18);
  const double peak = one.peak().value();
  EXPECT_GE(watch.copies(), 2 * 8 * 4);  // each block that came back went out before
  EXPECT_EQ(one.copied_layers(0), toy::model().layers);
  Seconds seen{0};
  for (std::size_t i = 0; i < watch.steps.size(); ++i) {
    if (watch.steps[i].second == 0) continue;
    seen += exposed_copy(copy * static_cast<double>(watch.steps[i].second), compute_time(one.work(watch.batches[i], 0, 1), one.ranks(0), {}),
                         one.copied_layers(0));
  }
  EXPECT_NEAR(run.ledger.amount(Cause::kTransfer) / peak, seen.count(), 1e-12);
  // The sixth request begins after four blocks that come back.
  const auto first = std::find_if(watch.steps.begin(), watch.steps.end(), [](const auto& step) { return step.first >= Seconds{5.0}; });
  ASSERT_NE(first, watch.steps.end());
  EXPECT_GE(first->second, 4);
  const Seconds computed = compute_time(one.work({{64, 36, true}}, 0, 1), one.ranks(0), {});
  const Seconds exposed = exposed_copy(copy * static_cast<double>(first->second), computed, one.copied_layers(0));
  EXPECT_NEAR(run.timelines[5].token_times[0].count(), (Seconds{5.0} + one.step_overhead() + computed + exposed).count(), 1e-12);
}

// By hand, four layers. Copies of 1 s each layer beside layers of 2 s: the first is seen. Of 3 s each: layer l starts at
// 3 (l + 1), the last ends at 12 + 2 instead of 8.
TEST(ExposedCopy, IsTheFirstLayersOrWhatIsLongerThanTheLayersBefore) {
  EXPECT_DOUBLE_EQ(exposed_copy(Seconds{4.0}, Seconds{8.0}, 4).count(), 1.0);
  EXPECT_DOUBLE_EQ(exposed_copy(Seconds{12.0}, Seconds{8.0}, 4).count(), 6.0);
  EXPECT_DOUBLE_EQ(exposed_copy(Seconds{8.0}, Seconds{8.0}, 4).count(), 2.0);   // both are the same there
  EXPECT_DOUBLE_EQ(exposed_copy(Seconds{3.0}, Seconds{8.0}, 1).count(), 3.0);
}

TEST_F(PrefixReuse, BothEventRungsPriceTheSameCopies) {
  ReplicaModel two = replica(2, Bytes{1e9});
  const std::vector<RequestSpec> requests = in_turns();
  scheduler::Limits limits = this->limits(2, true, 14);
  limits.host_blocks = 20;
  const ServingRun maxplus = serve_maxplus(two, limits, requests, {});
  const std::vector<PlatformDevice> devices =
      stage_devices(plan(2, true), two, {{"pool", {toy::gpu_device(), {}}}}, {{"pool", 8}});
  const ServingRun simgrid = serve_simgrid_isolated(two, {}, devices, limits, requests, {});
  EXPECT_GT(maxplus.host_hit_tokens, 0);
  EXPECT_EQ(simgrid.host_hit_tokens, maxplus.host_hit_tokens);
  EXPECT_NEAR(simgrid.ledger.amount(Cause::kTransfer) / maxplus.ledger.amount(Cause::kTransfer), 1.0, 1e-9);
}

TEST_F(PrefixReuse, HostMemoryNeedsAWayThere) {
  GroupPlan group = plan(1, true);
  group.limits.kv_offload = Bytes{1e9};
  Device device = toy::gpu_device();
  device.host_bandwidth = BytesPerSecond{0};
  try {
    ReplicaModel(toy::model(), group, {}, {{"pool", {device, datasheet_profile(device)}}});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("states no host_bandwidth"), std::string::npos) << error.what();
  }
}

const std::filesystem::path kMooncake = std::filesystem::path(LINDOS_SOURCE_DIR) / ".." / "shared" / "reference" / "traces" /
                                        "mooncake" / "conversation_trace.jsonl";

std::vector<RequestSpec> mooncake(std::int64_t requests) {
  ServingWorkload workload;
  workload.arrival = Arrival::kRecorded;
  workload.trace.path = kMooncake.string();
  workload.trace.format = TraceFormat::kMooncake;
  workload.trace.digest = scan_trace(kMooncake, TraceFormat::kMooncake, 0).digest;
  workload.requests = requests;
  return generate_requests(workload, 1);
}

// 105,710 of 288,500 block ids repeat, 36.6 % (modelling.md 7.4, counted again by a Python program of its own, which also
// counts 54,063,104 of 144,793,823 tokens in full blocks of 512 after a known beginning: 37.3 %).
TEST(Mooncake, RepeatsAThirdOfItsBlocks) {
  if (!std::filesystem::exists(kMooncake)) GTEST_SKIP() << "needs ../shared/reference/traces";
  const std::vector<RequestSpec> requests = mooncake(12'031);
  std::int64_t tokens = 0;
  for (const RequestSpec& r : requests) tokens += r.prompt_tokens;
  EXPECT_EQ(tokens, 144'793'823);
  EXPECT_EQ(reusable_tokens(requests, 512), 54'063'104);
}

// All of it through the scheduler, with a pool that forgets nothing and a replica so fast that no beginning is asked for
// while it is still being computed: all that there is.
TEST_F(PrefixReuse, OfMooncakeIsAllThatThereIs) {
  if (!std::filesystem::exists(kMooncake)) GTEST_SKIP() << "needs ../shared/reference/traces";
  ReplicaModel one = replica(1);
  const std::vector<RequestSpec> requests = mooncake(12'031);
  scheduler::Limits limits = this->limits(1, true, 300'000);
  limits.block_tokens = 512;
  const ServingRun run = serve_maxplus(one, limits, requests, {});
  EXPECT_EQ(run.prefix_query_tokens, 144'793'823);
  EXPECT_EQ(run.prefix_hit_tokens, 54'063'104);
}

}  // namespace
}  // namespace lindos::sim
