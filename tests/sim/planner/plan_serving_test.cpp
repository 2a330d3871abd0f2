// SPDX-License-Identifier: Apache-2.0
// Plans of serving fleets: screening against the closed rung, the best shapes against trying all, power and promises.
#include "sim/planner/plan_serving.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "data/catalogue.h"
#include "scenarios/balance.h"
#include "scenarios/error.h"
#include "scenarios/plan_pools.h"
#include "sim/cell.h"
#include "sim/closed_serving.h"
#include "sim/datasheet.h"
#include "sim/planner/few_devices.h"
#include "sim/planner/plan_gain.h"
#include "sim/planner/serving_load.h"
#include "sim/planner/serving_space.h"

namespace lindos::sim {
namespace {

namespace fs = std::filesystem;

const Catalogue& catalogue() {
  static const Catalogue loaded = load_catalogue(fs::path(LINDOS_SOURCE_DIR) / "data" / "catalogue");
  return loaded;
}

// Four nodes of two kinds; promises that several shapes keep.
Scenario fleet(const std::string& more = "") {
  const std::string text = R"(
format = "lindos-scenario"
version = 1
name = "fleet"
[cluster]
name = "fleet"
[[cluster.pool]]
name = "h100"
device = "h100-sxm"
node = "hgx-h100"
devices_per_node = 8
nodes = 3
node_power_max = "10.2 kW"
node_power_idle = "2.4 kW"
source = "test"
[[cluster.pool]]
name = "h200"
device = "h200-sxm"
node = "hgx-h200"
devices_per_node = 8
nodes = 1
node_power_max = "10.2 kW"
node_power_idle = "2.4 kW"
source = "test"
[fabric]
kind = "rail-fat-tree"
switch_ports = 64
hop_latency = "1 us"
source = "test"
[model]
name = "llama-3.1-8b"
[workload]
kind = "serving"
requests = 100
arrival = "poisson"
rate = "20 /s"
prompt = 1024
output = 128
seed = 1
[slo]
ttft = "1 s"
tpot = "30 ms"
percentile = 0.95
)" + more;
  return parse_scenario(text, "fleet.toml", fs::path(LINDOS_SOURCE_DIR) / "scenarios", catalogue());
}

ServingQuestion closed_question() {
  ServingQuestion question;
  question.predict.fidelity = Fidelity::kClosed;
  question.predict.draws = 5;
  question.top = 2;
  return question;
}

ServingGroup group_with(const Scenario& scenario, const ServingShape& shape) {
  Scenario alone = scenario;
  alone.plan.groups = {group_of(scenario, shape, 1)};
  // Half of the work is no whole plan.
  alone.plan.groups.front().role = Role::kBoth;
  ServingGroup group = std::move(make_fleet(alone, {}, "").groups.front());
  group.plan.role = shape.role;
  return group;
}

// The same algebra as the closed rung, which integrates contexts where screening takes the middle.
TEST(ServingPrices, AgreeWithTheClosedRung) {
  const Scenario scenario = fleet();
  ServingGroup group = group_with(scenario, {0, 2, 1, Dtype::kBf16, Dtype::kBf16, 8192});
  const ServingPrices prices(group, scenario.workload.serving);
  const ServingPoint point = prices.at(24.0, scenario.slo);
  ServingWorkload workload = scenario.workload.serving;
  workload.arrival = Arrival::kUniform;
  workload.requests = 200;
  workload.rate = Hertz(point.rate);
  const ServingRun run = serve_closed(group.replica, group.limits, generate_requests(workload, 1));
  const ServingSummary summary = summarise(run.timelines, scenario.slo);
  EXPECT_NEAR(summary.tpot / point.tpot, 1.0, 0.02);
}

TEST(ServingPrices, MoreLoadIsSlowerAndALowerLimitBearsLess) {
  const Scenario scenario = fleet();
  ServingGroup group = group_with(scenario, {0, 1, 1, Dtype::kBf16, Dtype::kBf16, 2048});
  const ServingPrices full(group, scenario.workload.serving);
  const ServingPrices slow(group, scenario.workload.serving, Draw{}, {Watts(300)});
  EXPECT_LT(full.at(4.0, scenario.slo).tpot, full.at(40.0, scenario.slo).tpot);
  EXPECT_LT(full.at(4.0, scenario.slo).rate, full.at(40.0, scenario.slo).rate);
  EXPECT_LT(slow.most(scenario.slo).rate, full.most(scenario.slo).rate);
  EXPECT_GT(slow.most(scenario.slo).rate, 0.5 * full.most(scenario.slo).rate) << "memory keeps its pace";
}

// One kind of replica of a fleet of two pools.
struct Tried {
  std::size_t devices[2] = {0, 0};
  double rate = 0.0;
};

// What one replica of the shape bears; 0 where it does not fit.
double borne(const Scenario& scenario, const ServingShape& shape) {
  try {
    ServingGroup group = group_with(scenario, shape);
    return ServingPrices(group, scenario.workload.serving).most(scenario.slo).rate;
  } catch (const Error&) {
    return 0.0;
  }
}

// Layers on the first of two stages: by speed, or as near to it as fits.
std::optional<ServingShape> with_layers_by(const Scenario& scenario, ServingShape shape, double first, double last) {
  const std::vector<Range> dealt = balance_layers(
      scenario.model, {first * static_cast<double>(shape.tensor), last * static_cast<double>(shape.other->tensor)});
  for (std::int64_t off = 0; off < scenario.model.layers; ++off) {
    for (const std::int64_t layers : {dealt.front().end - off, dealt.front().end + off}) {
      if (layers < 1 || layers >= scenario.model.layers) continue;
      shape.other->layers_before = layers;
      shape.other->layers = scenario.model.layers - layers;
      try {
        static_cast<void>(group_with(scenario, shape));
        return shape;
      } catch (const Error&) {
        continue;
      }
    }
  }
  return std::nullopt;
}

// All ways to cut a replica on one pool or over two with a stage each, in one role.
std::vector<Tried> all_replicas(const Scenario& scenario, Role role) {
  std::vector<Tried> out;
  const auto add = [&](const ServingShape& shape) {
    Tried tried;
    tried.rate = borne(scenario, shape);
    for (const std::size_t pool : {0U, 1U}) tried.devices[pool] = static_cast<std::size_t>(shape.devices_in(pool));
    if (tried.rate > 0.0) out.push_back(tried);
  };
  const auto fits = [&](const ServingShape& shape) {
    for (const std::size_t pool : {0U, 1U})
      if (shape.devices_in(pool) > scenario.cluster.pools[pool].devices()) return false;
    return true;
  };
  for (const std::size_t pool : {0U, 1U}) {
    for (const std::int64_t tensor : {1, 2, 4, 8}) {
      for (const int stages : {1, 2, 4}) {
        ServingShape shape{pool, tensor, stages};
        shape.role = role;
        for (const std::int64_t budget : {256, 512, 1024, 2048, 4096, 8192, 16384}) {
          if ((role == Role::kDecode && budget != 2048) || (role == Role::kPrefill && budget < 4096)) continue;
          shape.budget = budget;
          if (fits(shape)) add(shape);
        }
      }
      for (const std::int64_t others : {1, 2, 4, 8}) {
        ServingShape shape{pool, tensor, 1};
        shape.role = role;
        shape.other = OtherStages{1 - pool, others, 1, 0, 0};
        if (!fits(shape) || tensor > 2 * others || others > 2 * tensor) continue;
        const Device& first = scenario.devices.at(scenario.cluster.pools[pool].node.device);
        const Device& last = scenario.devices.at(scenario.cluster.pools[1 - pool].node.device);
        for (const bool products : {false, true}) {
          if (role == (products ? Role::kDecode : Role::kPrefill)) continue;
          shape.budget = role == Role::kPrefill ? 8192 : 2048;
          const auto cut = products ? with_layers_by(scenario, shape, first.peak.at(Dtype::kBf16).value(), last.peak.at(Dtype::kBf16).value())
                                    : with_layers_by(scenario, shape, first.memory_bandwidth.value(), last.memory_bandwidth.value());
          if (cut) add(*cut);
        }
      }
    }
  }
  return out;
}

// [devices of pool 0][of pool 1]: the most that so many bear.
std::vector<std::vector<double>> most_by_devices(const Scenario& scenario, Role role) {
  const auto count = [&](std::size_t pool) { return static_cast<std::size_t>(scenario.cluster.pools[pool].devices()) + 1; };
  std::vector<std::vector<double>> most(count(0), std::vector<double>(count(1), 0.0));
  const std::vector<Tried> replicas = all_replicas(scenario, role);
  for (std::size_t a = 0; a < count(0); ++a) {
    for (std::size_t b = 0; b < count(1); ++b) {
      for (const Tried& r : replicas) {
        if (r.devices[0] <= a && r.devices[1] <= b)
          most[a][b] = std::max(most[a][b], most[a - r.devices[0]][b - r.devices[1]] + r.rate);
      }
    }
  }
  return most;
}

// What the best plan of all bears, prompts and decodes together or also apart.
struct Best {
  double together = 0.0;
  double apart = 0.0;
};
Best best_of_all(const Scenario& scenario) {
  const auto both = most_by_devices(scenario, Role::kBoth);
  const auto prompts = most_by_devices(scenario, Role::kPrefill);
  const auto decodes = most_by_devices(scenario, Role::kDecode);
  Best best{both.back().back(), 0.0};
  const std::size_t n0 = both.size();
  const std::size_t n1 = both.front().size();
  for (std::size_t p0 = 0; p0 < n0; ++p0) {
    for (std::size_t d0 = 0; p0 + d0 < n0; ++d0) {
      for (std::size_t p1 = 0; p1 < n1; ++p1) {
        for (std::size_t d1 = 0; p1 + d1 < n1; ++d1) {
          const double whole = both[n0 - 1 - p0 - d0][n1 - 1 - p1 - d1];
          best.apart = std::max(best.apart, whole + std::min(prompts[p0][p1], decodes[d0][d1]));
        }
      }
    }
  }
  return best;
}

void expect_as_good_as_all(const Scenario& scenario) {
  const Best best = best_of_all(scenario);
  ASSERT_GT(best.apart, 0.0);
  const ServingAnswer answer = plan_serving(scenario, {}, closed_question());
  EXPECT_NEAR(answer.plans.front().requests_per_s / best.apart, 1.0, 6e-3)
      << answer.plans.front().name << "; what is simpler may serve half a percent less";
  check_plan(answer.plans.front().scenario.plan, answer.plans.front().scenario, "plan");
  ServingQuestion question = closed_question();
  question.apart = false;
  if (best.together <= 0.0) return;
  const double together = plan_serving(scenario, {}, question).plans.front().requests_per_s;
  EXPECT_NEAR(together / best.together, 1.0, 6e-3);
  EXPECT_GE(answer.plans.front().requests_per_s, together * (1.0 - 6e-3));
}

// 141 GB of weights on three H100 and two H200: one replica on two of a kind each, or two over both kinds.
Scenario small_pools() {
  Scenario scenario = fleet();
  for (Pool& pool : scenario.cluster.pools) pool.node.devices = 1;
  scenario.cluster.pools[0].nodes = 3;
  scenario.cluster.pools[1].nodes = 2;
  scenario.model = catalogue().models.at("llama-3.1-70b");
  scenario.slo.ttft = Seconds(4);
  scenario.slo.tpot = Seconds(0.2);
  scenario.plan = default_plan(scenario);
  return scenario;
}

TEST(PlanServing, EqualsTryingAllPlans) {
  expect_as_good_as_all(fleet());
  expect_as_good_as_all(small_pools());
}

// A model that fits on no pool alone has its layers where there is room for them, and every replica takes devices of both.
TEST(PlanServing, SpansTwoPoolsWhereNoneHasRoom) {
  Scenario scenario = small_pools();
  for (Pool& pool : scenario.cluster.pools) pool.nodes = 1;
  const ServingAnswer answer = plan_serving(scenario, {}, closed_question());
  const PlannedServing& best = answer.plans.front();
  ASSERT_GT(best.requests_per_s, 0.0);
  check_plan(best.scenario.plan, best.scenario, "plan");
  std::int64_t layers[2] = {0, 0};
  for (const ServingPart& part : best.parts) {
    ASSERT_TRUE(part.shape.other) << part.what;
    EXPECT_EQ(part.shape.devices_in(1), 1);
  }
  for (const StagePlan& stage : best.scenario.plan.groups.front().stages)
    layers[stage.ranks.front().pool == "h100" ? 0 : 1] += stage.layers.size();
  EXPECT_EQ(layers[0] + layers[1], scenario.model.layers);
  EXPECT_GT(std::min(layers[0], layers[1]), 0);
  // The unit that is lost ends the one replica there is room for, whichever pool it belongs to.
  if (best.parts.size() == 1 && best.parts.front().replicas == 1) {
    EXPECT_EQ(best.without_node->rate, 0.0);
  }
  EXPECT_GT(answer.pruned.reasons().at("a tensor group over two pools: all-reduces of every layer through the NICs").count, 0);
  EXPECT_FALSE(answer.pareto.empty());
}

// Layers go by speed only as far as memory permits: two thirds of the speed on a fifth of the memory hold less than that.
TEST(PlanServing, LayersByMemoryWhereSpeedHasNoRoom) {
  Scenario scenario = small_pools();
  scenario.devices.at("h100-sxm").memory = Bytes(30e9);
  scenario.devices.at("h200-sxm").memory = Bytes(160e9);
  ServingSpace space;
  add_shapes_over(space, scenario, {}, 0, 1, {Dtype::kBf16}, false);
  const auto one_each = std::find_if(space.shapes.begin(), space.shapes.end(), [](const ServingShape& shape) {
    return shape.tensor == 1 && shape.other->tensor == 1 && shape.stages == 1 && shape.other->stages == 1;
  });
  ASSERT_NE(one_each, space.shapes.end());
  const double bandwidths = scenario.devices.at("h100-sxm").memory_bandwidth / scenario.devices.at("h200-sxm").memory_bandwidth;
  const auto before = static_cast<double>(one_each->other->layers_before);
  EXPECT_LT(before, 0.9 * bandwidths / (1.0 + bandwidths) * static_cast<double>(scenario.model.layers));
  // One layer more has no room.
  ServingShape more = *one_each;
  ++more.other->layers_before;
  --more.other->layers;
  EXPECT_GT(group_with(scenario, *one_each).limits.kv_blocks, 0);
  EXPECT_THROW(static_cast<void>(group_with(scenario, more)), Error);
}

// A pace so tight that a step with a prompt in it breaks it: decodes want to be alone. The rates of the parts fit together,
// and the load is what the fleet keeps when it is simulated whole, behind its router.
TEST(PlanServing, PromptsApartServeAsManyAsIsSaid) {
  Scenario scenario = fleet();
  scenario.slo.tpot = Seconds(0.012);
  ServingQuestion question = closed_question();
  question.predict.fidelity = Fidelity::kMaxplus;
  question.top = 1;
  const ServingAnswer answer = plan_serving(scenario, {}, question);
  const PlannedServing& best = answer.plans.front();
  double prompts = 0.0, decodes = 0.0, both = 0.0;
  for (const ServingPart& part : best.parts) {
    const double rate = part.rate * static_cast<double>(part.replicas);
    (part.shape.role == Role::kPrefill ? prompts : part.shape.role == Role::kDecode ? decodes : both) += rate;
  }
  ASSERT_GT(decodes, 0.0);
  EXPECT_NEAR(best.requests_per_s, both + std::min(prompts, decodes), 1e-6 * best.requests_per_s);
  EXPECT_EQ(answer.baselines.back().name, "best with prompts and decodes together");
  EXPECT_LT(answer.baselines.back().requests_per_s, best.requests_per_s);
  check_plan(best.scenario.plan, best.scenario, "plan");

  Scenario served = best.scenario;
  served.workload.serving.rate = Hertz(0.97 * best.requests_per_s);
  served.workload.serving.requests = 4000;
  Fleet whole = make_fleet(served, {}, "");
  std::vector<std::int64_t> replicas;
  for (const GroupPlan& group : served.plan.groups) replicas.push_back(group.replicas);
  CellRun run = serve_cell(whole.groups, served, {replicas, generate_requests(served.workload.serving, 1), 1.0});
  join_handovers(run);
  std::vector<RequestTimeline> timelines;
  for (CellReplica& replica : run.replicas) std::move(replica.run.timelines.begin(), replica.run.timelines.end(), std::back_inserter(timelines));
  EXPECT_GE(summarise(timelines, served.slo).goodput, served.slo.percentile);
}

// One node of three is a third of the H100 and all of the H200: what is left is what the others bear, and a demand is served
// from it.
TEST(PlanServing, SurvivesTheLossOfANode) {
  const Scenario scenario = fleet();
  ServingQuestion question = closed_question();
  question.apart = false;
  const PlannedServing whole = plan_serving(scenario, {}, question).plans.front();
  double worst = 0.0;
  for (const ServingPart& part : whole.parts) {
    const auto lost = static_cast<double>(std::min<std::int64_t>(part.replicas, (8 + part.shape.devices() - 1) / part.shape.devices()));
    worst = std::max(worst, lost * part.rate);
  }
  EXPECT_NEAR(whole.without_node->rate, whole.requests_per_s - worst, 1e-6 * whole.requests_per_s);
  question.survives = LostUnit::kNode;
  EXPECT_NEAR(plan_serving(scenario, {}, question).plans.front().requests_per_s, whole.without_node->rate, 0.01 * whole.requests_per_s);
  // Two parts of one pool in the node that is lost: prompts and decodes of all eight H200.
  Scenario one_node = scenario;
  one_node.cluster.pools.erase(one_node.cluster.pools.begin());
  one_node.slo.tpot = Seconds(0.008);
  one_node.plan = default_plan(one_node);
  const PlannedServing apart = plan_serving(one_node, {}, closed_question()).plans.front();
  ASSERT_GT(apart.parts.size(), 1U);
  EXPECT_EQ(apart.without_node->rate, 0.0);
  question.objective = ServingObjective::kPower;
  const PlannedServing spare = plan_serving(scenario, {}, question).plans.front();
  EXPECT_GE(spare.requests_per_s, scenario.workload.serving.rate.value() * (1.0 - 1e-9));
  question.survives = LostUnit::kNothing;
  EXPECT_GT(spare.power, plan_serving(scenario, {}, question).plans.front().power);
}

// Of two tenants one is promised so quick a pace that the load falls, though nearly all requests are the other's.
TEST(PlanServing, EveryTenantsPromiseCounts) {
  Scenario scenario = fleet();
  scenario.workload.serving.tenants = {{"many", 0.97}, {"few", 0.03}};
  const ServingShape shape{0, 2, 1, Dtype::kBf16, Dtype::kBf16, 2048};
  ServingGroup group = group_with(scenario, shape);
  const BorneLoad alike = borne_load(group, scenario.workload.serving, scenario.slo, 20.0, 1, {});
  scenario.workload.serving.tenants[1].tpot = Seconds(0.4 * alike.tpot.count());
  const BorneLoad strict = borne_load(group, scenario.workload.serving, scenario.slo, 20.0, 1, {});
  EXPECT_GT(alike.rate, 0.0);
  EXPECT_GT(strict.rate, 0.0);
  EXPECT_LT(strict.rate, 0.7 * alike.rate);
}

// Experts in columns and dealt out whole are two shapes; both fit the plan's rules, and the better one is found.
TEST(PlanServing, DealsExpertsOutOrCutsThem) {
  Scenario scenario = fleet();
  scenario.model = catalogue().models.at("qwen3-30b-a3b");
  scenario.plan = default_plan(scenario);
  const ServingShape cut{0, 4, 1, Dtype::kBf16, Dtype::kBf16, 2048};
  ServingShape dealt = cut;
  dealt.dealt = true;
  EXPECT_EQ(group_of(scenario, cut, 1).stages.front().ranks.back().share.experts, (Range{0, 128}));
  EXPECT_EQ(group_of(scenario, dealt, 1).stages.front().ranks.back().share.experts, (Range{96, 128}));
  double best = 0.0;
  for (const ServingShape& shape : {cut, dealt}) {
    ServingGroup group = group_with(scenario, shape);
    best = std::max(best, ServingPrices(group, scenario.workload.serving).most(scenario.slo).rate);
  }
  EXPECT_GT(best, 0.0);
  const ServingAnswer answer = plan_serving(scenario, {}, closed_question());
  check_plan(answer.plans.front().scenario.plan, answer.plans.front().scenario, "plan");
  EXPECT_GE(answer.plans.front().requests_per_s, 8.0 * best * 0.99) << "32 devices";
  const ServingScreen screen =
      screen_shapes(scenario, judged(scenario), {}, {{0, 1}, {Dtype::kBf16}, true, false, {}, {}});
  for (const std::vector<PricedShape>& shapes : screen.shapes) {
    const auto dealt_out = [](const PricedShape& shape) { return shape.shape.dealt; };
    EXPECT_TRUE(std::any_of(shapes.begin(), shapes.end(), dealt_out));
    EXPECT_FALSE(std::all_of(shapes.begin(), shapes.end(), dealt_out));
  }
}

// A part does its share of what two together promise.
TEST(ServingPrices, PartsAreHeldToTheRootOfTheShare) {
  const Slo slo{Seconds(1), Seconds(0.03), 0.95};
  EXPECT_DOUBLE_EQ(slo_of_part(slo, Role::kBoth).percentile, 0.95);
  EXPECT_DOUBLE_EQ(slo_of_part(slo, Role::kPrefill).percentile * slo_of_part(slo, Role::kDecode).percentile, 0.95);
  EXPECT_DOUBLE_EQ(slo_of_part({Seconds(1), Seconds(0), 0.95}, Role::kPrefill).percentile, 0.95);
}

// Prompts that have nothing in common find nothing again: host memory for KV is given back.
TEST(PlanServing, LeavesHostMemoryThatBringsNothing) {
  Scenario scenario = fleet();
  scenario.plan = default_plan(scenario);
  for (GroupPlan& group : scenario.plan.groups) {
    group.limits.prefix_reuse = true;
    group.limits.kv_offload = Bytes(4e9);
  }
  ServingQuestion question = closed_question();
  question.predict.fidelity = Fidelity::kMaxplus;
  question.apart = false;
  question.top = 1;
  for (const ServingPart& part : plan_serving(scenario, {}, question).plans.front().parts)
    EXPECT_EQ(part.shape.kv_offload.value(), 0.0) << part.what;
}

TEST(PlanServing, PlansAreValidAndCountWhatIsLeftOut) {
  const Scenario scenario = fleet();
  const ServingAnswer answer = plan_serving(scenario, {}, closed_question());
  for (const PlannedServing& plan : answer.plans) {
    check_plan(plan.scenario.plan, plan.scenario, "plan");
    EXPECT_LE(plan.p10, plan.requests_per_s * (1.0 + 1e-9));
    for (const DrawnRate& left : {*plan.without_node, *plan.without_rack}) {
      EXPECT_LE(left.p10, left.p90);
      EXPECT_LE(left.p10, plan.p10 * (1.0 + 1e-9));
      EXPECT_LE(left.p90, plan.p90 * (1.0 + 1e-9));
    }
    EXPECT_EQ(plan.gains.size(), answer.baselines.size());
  }
  EXPECT_EQ(answer.baselines.front().name, "the default plan");
  EXPECT_GT(answer.pruned.total(), 0);
  // Throughput falls as the pace for a user rises.
  for (const ParetoPoint& point : answer.pareto) {
    EXPECT_GT(point.p10, 0.0);
    EXPECT_LE(point.p10, point.p90);
    EXPECT_LT(point.p10, point.tokens_per_s_device * 1.02);
  }
  for (std::size_t i = 1; i < answer.pareto.size(); ++i)
    EXPECT_LE(answer.pareto[i].tokens_per_s_device, answer.pareto[i - 1].tokens_per_s_device * (1.0 + 1e-9));
}

// 4 nodes draw at most 4 × (5.6 + 2.8) kW; 25 kW is below that and above their idle power of 9.6 kW. With prompts apart the
// program under a cap takes many times as long: e2e_plan_serving has one.
TEST(PlanServing, KeepsTheSitesCap) {
  ServingQuestion question = closed_question();
  question.apart = false;
  const ServingAnswer free = plan_serving(fleet(), {}, question);
  const ServingAnswer capped =
      plan_serving(fleet("[power]\nsite_cap = \"25 kW\"\npue = 1.0\nsource = \"test\"\n"), {}, question);
  EXPECT_GT(free.plans.front().power.value(), 25e3);
  EXPECT_LE(capped.plans.front().power.value(), 25e3 + 1e-6);
  EXPECT_LT(capped.plans.front().requests_per_s, free.plans.front().requests_per_s);
  EXPECT_GT(capped.plans.front().requests_per_s, 0.0);
  // What the cap costs: the best shapes without it bear no more than what is found without it.
  EXPECT_EQ(free.plans.front().without_site_cap, 0.0);
  EXPECT_GT(capped.plans.front().without_site_cap, capped.plans.front().requests_per_s);
  EXPECT_LE(capped.plans.front().without_site_cap, free.plans.front().requests_per_s * 1.001);
  for (const PlannedServing& baseline : capped.baselines) {
    EXPECT_LE(baseline.power.value(), 25e3 + 1e-6) << baseline.name;
    EXPECT_LE(baseline.requests_per_s, capped.plans.front().requests_per_s * 1.001) << baseline.name;
  }
}

TEST(PlanServing, ThePowerObjectiveServesTheDemandWithLess) {
  const Scenario scenario = fleet();
  ServingQuestion question = closed_question();
  question.objective = ServingObjective::kPower;
  const ServingAnswer answer = plan_serving(scenario, {}, question);
  EXPECT_GE(answer.plans.front().requests_per_s, scenario.workload.serving.rate.value());
  EXPECT_LT(answer.plans.front().power, plan_serving(scenario, {}, closed_question()).plans.front().power);
}

// Pool h200 costs so much that the demand, which the 24 H100 can serve alone, never goes there; at the price of nothing but
// energy no H100 would. What is said to be the cost is Σ devices × price + energy at the meter.
TEST(PlanServing, TheCostObjectiveServesTheDemandForLess) {
  Scenario scenario = fleet("[power]\nenergy_price = \"0.1 $/kWh\"\npue = 1.25\nsource = \"test\"\n");
  ServingQuestion question = closed_question();
  question.objective = ServingObjective::kCost;
  try {
    static_cast<void>(plan_serving(scenario, {}, question));
    FAIL() << "nobody knows the price";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kInput);
    EXPECT_NE(std::string(e.what()).find("pool \"h100\" is not known; give it device_price"), std::string::npos) << e.what();
  }
  scenario.cluster.pools[0].device_price = DollarsPerSecond{2.0 / 3600.0};
  scenario.cluster.pools[1].device_price = DollarsPerSecond{200.0 / 3600.0};
  const ServingAnswer answer = plan_serving(scenario, {}, question);
  const PlannedServing& best = answer.plans.front();
  EXPECT_GE(best.requests_per_s, scenario.workload.serving.rate.value());
  std::int64_t devices = 0;
  for (const ServingPart& part : best.parts) {
    EXPECT_EQ(part.shape.pool, 0U) << part.name;
    devices += part.replicas * part.shape.devices();
  }
  const double energy = best.power.value() / 1000.0 * 0.1 / 3600.0;
  EXPECT_NEAR(best.cost.value(), static_cast<double>(devices) * 2.0 / 3600.0 + energy, 1e-9);
  EXPECT_NEAR(best.objective, best.tokens_per_s / best.cost.value(), 1e-6 * best.objective);
  // One replica fewer would not serve it: no dearer than any plan that was found by another objective.
  EXPECT_LE(best.cost, plan_serving(scenario, {}, closed_question()).plans.front().cost);
  for (const ParetoPoint& point : answer.pareto) EXPECT_GT(point.dollars_per_million, 0.0);
  scenario.cluster.pools[1].device_price = DollarsPerSecond{1e-9};
  const ServingAnswer other = plan_serving(scenario, {}, question);
  EXPECT_EQ(other.plans.front().parts.front().shape.pool, 1U);
}

TEST(PlanServing, PromisesThatCannotBeKeptNameWhatComesNearest) {
  Scenario scenario = fleet();
  scenario.slo.tpot = Seconds(1e-5);
  try {
    static_cast<void>(plan_serving(scenario, {}, closed_question()));
    FAIL() << "10 us a token are beyond any device";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kInfeasible);
    EXPECT_NE(std::string(e.what()).find("Nearest: "), std::string::npos) << e.what();
  }
  scenario.slo = {};
  EXPECT_THROW(static_cast<void>(plan_serving(scenario, {}, closed_question())), Error);
}

// A rate that the closed rung only estimates is simulated request by request.
TEST(PlanServing, VerifiedLoadKeepsThePromises) {
  ServingQuestion question = closed_question();
  question.predict.fidelity = Fidelity::kMaxplus;
  question.top = 1;
  const ServingAnswer answer = plan_serving(fleet(), {}, question);
  EXPECT_GT(answer.verified, 0);
  for (const ServingPart& part : answer.plans.front().parts) {
    EXPECT_GT(part.rate, 0.0);
    EXPECT_LE(part.tpot, fleet().slo.tpot);
    EXPECT_LE(part.ttft, fleet().slo.ttft);
  }
}

TEST(PlanFew, TriesEveryCutOfAFewDevicesAndSharesBySpeed) {
  Scenario scenario = fleet();
  scenario.cluster.pools[0].node.devices = 1;
  scenario.cluster.pools[0].nodes = 1;
  scenario.cluster.pools[1].node.devices = 1;
  scenario.cluster.pools[1].nodes = 1;
  scenario.plan = default_plan(scenario);
  ASSERT_TRUE(is_few(scenario));
  ServingQuestion question = closed_question();
  question.top = 10;
  const ServingAnswer answer = plan_few(scenario, {}, question);
  const auto named = [&](const std::string& part) {
    return std::any_of(answer.plans.begin(), answer.plans.end(),
                       [&](const PlannedServing& plan) { return plan.name.find(part) != std::string::npos; });
  };
  EXPECT_TRUE(named("h100: one rank") || named("the default plan"));
  EXPECT_TRUE(named("pipeline stages equal"));
  for (std::size_t i = 1; i < answer.plans.size(); ++i)
    EXPECT_GE(answer.plans[i - 1].objective, answer.plans[i].objective);
}

// Paired: 20 %, 50 % and, where the baseline did nothing, none. A baseline that does nothing in the median has no gain over it.
TEST(PlanGain, IsPairedAndAbsentOverNothing) {
  const auto gain = gain_over("a", {10.0, 10.0, 0.0}, {12.0, 15.0, 7.0});
  ASSERT_TRUE(gain.has_value());
  EXPECT_DOUBLE_EQ(gain->p50, 0.2);
  EXPECT_FALSE(gain_over("a", {0.0, 0.0, 10.0}, {12.0, 15.0, 7.0}).has_value());
  EXPECT_FALSE(gain_over("a", {}, {}).has_value());
}

// Both read alike, one multiplies twice as fast: only the cut by products deals its rank more heads (two of three, in whole
// groups or not), and no cut by reading is made, since it would be the equal one.
TEST(PlanFew, CutsBySpeedOfProductsWhereReadingIsAlike) {
  Scenario scenario = fleet();
  for (Pool& pool : scenario.cluster.pools) {
    pool.node.devices = 1;
    pool.nodes = 1;
  }
  scenario.plan = default_plan(scenario);
  std::map<std::string, Profile> profiles;
  for (const Pool& pool : scenario.cluster.pools) {
    Profile profile = datasheet_profile(scenario.devices.at(pool.node.device));
    profile.read_bandwidth = BytesPerSecond{3e12};
    profile.matrix_rates.clear();
    profile.matrix_rate = FlopPerSecond{profiles.empty() ? 4e14 : 8e14};
    profiles.emplace(pool.node.device, std::move(profile));
  }
  ASSERT_EQ(profiles.size(), 2U);
  std::vector<std::string> names;
  std::int64_t first = 0;
  for (const Plan& plan : few_plans(scenario, profiles)) {
    names.push_back(plan.name);
    if (plan.name.find("tensor shares by speed of products") == std::string::npos) continue;
    first = plan.groups.front().stages.front().ranks.front().share.q_heads.size();
  }
  EXPECT_GT(first, 0) << "no such plan";
  EXPECT_NEAR(static_cast<double>(first) / static_cast<double>(scenario.model.q_heads), 1.0 / 3.0, 0.05);
  EXPECT_TRUE(std::none_of(names.begin(), names.end(), [](const std::string& name) { return name.find("of reading") != std::string::npos; }));
}

}  // namespace
}  // namespace lindos::sim
