// SPDX-License-Identifier: Apache-2.0
// Steps priced by their totals against the same steps op by op.
#include "sim/uniform_books.h"

#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "scenarios/balance.h"
#include "sim/datasheet.h"
#include "sim/uncertainty.h"
#include "tests/sim/toy_profile.h"

namespace lindos::sim {
namespace {

GroupPlan plan_of(const Model& model, int ranks) {
  const std::vector<double> weights(static_cast<std::size_t>(ranks), 1.0);
  return make_plan(model, "pool", 1, weights, {}, Dtype::kBf16, EngineLimits{}, kCpuGranule).groups.front();
}

std::map<std::string, ProfiledDevice> gpus() {
  return {{"pool", {toy::gpu_device(), datasheet_profile(toy::gpu_device())}}};
}

// Held to `cap`, of 700 W at most and 100 W idle; watts of products and decodes by `kernels`.
std::map<std::string, ProfiledDevice> powered_gpus(Watts cap, bool kernels) {
  std::map<std::string, ProfiledDevice> devices = gpus();
  ProfiledDevice& gpu = devices.at("pool");
  gpu.device.power_idle = Watts{100};
  gpu.device.power_max = Watts{700};
  gpu.cap = cap;
  if (kernels) {
    gpu.profile.gemm = {{Dtype::kBf16, 8, 128, 64, 1, 1, Seconds{5e-6}, 0.0, Watts{300}},
                        {Dtype::kBf16, 512, 64, 128, 1, 1, Seconds{9e-6}, 0.0, Watts{650}}};
    gpu.profile.attention = {{Dtype::kBf16, 4, 1, 99, 2, 1, 16, 1, 1, Seconds{4e-6}, 0.0, Watts{200}},
                             {Dtype::kBf16, 16, 1, 99, 2, 1, 16, 1, 1, Seconds{6e-6}, 0.0, Watts{500}}};
  }
  return devices;
}

Batch any_batch() {
  Batch batch;
  const int slices = *rc::gen::inRange(1, 12);
  const bool decodes = *rc::gen::arbitrary<bool>();
  for (int i = 0; i < slices; ++i) {
    const bool decode = decodes || *rc::gen::arbitrary<bool>();
    const std::int64_t tokens = decode ? 1 : *rc::gen::inRange<std::int64_t>(1, 300);
    const std::int64_t context = *rc::gen::inRange<std::int64_t>(decode ? 1 : 0, 700);
    batch.push_back({context, tokens, decode || *rc::gen::arbitrary<bool>()});
  }
  return batch;
}

void expect_close(double a, double b) { RC_ASSERT(std::abs(a - b) <= 1e-11 * std::max(std::abs(a), std::abs(b))); }

RC_GTEST_PROP(UniformBooks, AgreesWithOpByOp, ()) {
  Model model = toy::model();
  model.vocab = 257;  // one rank holds a row more
  if (*rc::gen::arbitrary<bool>()) model.sliding_window = {128, 0};
  const GroupPlan plan = plan_of(model, 2);
  const bool powered = *rc::gen::arbitrary<bool>();
  const bool kernels = *rc::gen::arbitrary<bool>();
  ReplicaModel replica(model, plan, {},
                       powered ? powered_gpus(Watts{static_cast<double>(*rc::gen::inRange(101, 800))}, kernels) : gpus());
  RC_ASSERT(replica.uniform(0));
  Draw draw;
  if (*rc::gen::arbitrary<bool>()) {
    Factors sigmas;
    sigmas.fill(0.1);
    draw = draw_factors({sigmas}, 7, 1);
  }
  UniformBooks books(replica, draw, 0);
  Ledger by_totals;
  Ledger by_ops;
  WorkTotals totals;
  WorkTotals expected;
  for (int i = 0; i < 5; ++i) {
    const Batch batch = any_batch();
    const StageWork& work = replica.work(batch, 0, 1);
    const Seconds took = compute_time(work, replica.ranks(0), draw);
    book(work, replica.ranks(0), draw, by_ops, expected);
    // Twice: the second finds its price.
    for (int again = 0; again < 2; ++again)
      expect_close(books.step(totals_of(batch, replica.windows()), 1).count(), took.count());
    book(work, replica.ranks(0), draw, by_ops, expected);
  }
  books.close(by_totals, totals);
  for (std::size_t c = 0; c < kCauseCount; ++c)
    expect_close(by_totals.amount(static_cast<Cause>(c)), by_ops.amount(static_cast<Cause>(c)));
  expect_close(totals.added.value(), expected.added.value());
  RC_TAG(by_totals.amount(Cause::kPowerCap) > 0.0 ? "slowed" : "not slowed");
  expect_close(totals.cold.value(), expected.cold.value());
  expect_close(totals.speed_of_light.count(), expected.speed_of_light.count());
  expect_close(totals.busy.count(), expected.busy.count());
  for (std::size_t f = 0; f < kFamilyCount; ++f) {
    for (std::size_t t = 0; t < kTierCount; ++t) expect_close(totals.seconds[f][t], expected.seconds[f][t]);
  }
}

TEST(UniformBooks, IsNotForLatentAttentionOrUnlikeRanks) {
  Model model = toy::model();
  model.kv_heads = 1;
  model.q_heads = 3;
  // Two ranks cannot share three query heads evenly.
  EXPECT_FALSE(ReplicaModel(model, plan_of(model, 2), {}, gpus()).uniform(0));
  EXPECT_TRUE(ReplicaModel(model, plan_of(model, 1), {}, gpus()).uniform(0));
}

TEST(StepTotals, MovingOnIsTheNextStep) {
  Model model = toy::model();
  model.sliding_window = {0, 10};
  const AttentionWindows windows = *AttentionWindows::of(model);
  std::vector<std::int64_t> contexts{3, 8, 40};
  StepTotals moved = decode_totals(contexts, windows);
  for (std::int64_t later = 1; later < 6; ++later) {
    move_on(moved, contexts, later, windows);
    Batch batch;
    for (const std::int64_t context : contexts) batch.push_back({context + later, 1, true});
    const StepTotals fresh = totals_of(batch, windows);
    EXPECT_EQ(moved.decode, fresh.decode);
    EXPECT_EQ(moved.tokens, fresh.tokens);
    EXPECT_EQ(moved.rows, fresh.rows);
    EXPECT_TRUE(fresh.decodes);
  }
}

}  // namespace
}  // namespace lindos::sim
