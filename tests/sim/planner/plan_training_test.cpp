// SPDX-License-Identifier: Apache-2.0
// The planner against brute force on spaces small enough to try every plan of, and what it says of Colossus 1.
#include "sim/planner/plan_training.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "data/catalogue.h"
#include "scenarios/error.h"
#include "scenarios/plan_pools.h"
#include "scenarios/training_memory.h"
#include "sim/power_limit.h"
#include "sim/training/closed_training.h"
#include "sim/training/make_training_job.h"

namespace lindos::sim {
namespace {

namespace fs = std::filesystem;

const Catalogue& catalogue() {
  static const Catalogue loaded = load_catalogue(fs::path(LINDOS_SOURCE_DIR) / "data" / "catalogue");
  return loaded;
}

// Two kinds of node with few GPUs and a model of few layers. A sequence that 4 does not divide has no context ranks.
struct Small {
  std::int64_t h100_nodes = 1;
  std::int64_t gb200_nodes = 1;
  int layers = 4;
  std::int64_t batch = 4;
};

Scenario scenario_with(const Small& small) {
  std::string text = R"(
format = "lindos-scenario"
version = 1
name = "small"
[cluster]
name = "small"
[fabric]
kind = "rail-fat-tree"
switch_ports = 64
hop_latency = "1 us"
source = "test"
[model]
name = "toy"
architecture = "LlamaForCausalLM"
hidden = 4096
q_heads = 2
kv_heads = 2
head_dim = 128
ffn = 14336
vocab = 32000
max_positions = 8192
dtype = "bf16"
)";
  text += "layers = " + std::to_string(small.layers) + "\n";
  text += R"(
[workload]
kind = "training"
sequence = 2050
micro_batch = 1
recompute = "selective"
)";
  text += "global_batch = " + std::to_string(small.batch) + "\n";
  const auto pool = [&](const char* name, const char* device, std::int64_t nodes) {
    text += std::string("[[cluster.pool]]\nname = \"") + name + "\"\ndevice = \"" + device + "\"\nnode = \"" + name +
            "\"\ndevices_per_node = 2\nsource = \"test\"\nnodes = " + std::to_string(nodes) + "\n";
  };
  pool("h100", "h100-sxm", small.h100_nodes);
  pool("gb200", "gb200-nvl72", small.gb200_nodes);
  return parse_scenario(text, "small.toml", fs::path(LINDOS_SOURCE_DIR) / "scenarios", catalogue());
}

struct Tried {
  double step_s = std::numeric_limits<double>::infinity();
  std::string plan;
};

// Seconds of a plan that is allowed and fits.
std::optional<double> step_of(const Scenario& scenario) {
  try {
    check_plan(scenario.plan, scenario, "plan");
    static_cast<void>(fullest_training_rank(scenario));
    return closed_step(make_training_job(scenario, {})).step.count();
  } catch (const Error&) {
    return std::nullopt;
  }
}

// Layers of the last pool with which the slowest stage takes least, of one replica priced for every split.
std::int64_t layers_on_last(const Scenario& scenario, TrainingShape shape) {
  std::int64_t best = 0;
  double least = std::numeric_limits<double>::infinity();
  for (std::int64_t layers = shape.last->stages; layers <= scenario.model.layers - (shape.stages - shape.last->stages); ++layers) {
    shape.last->layers = layers;
    shape.chunks = 1;
    Scenario tried = scenario;
    tried.plan.groups = {group_of(scenario, shape, 1, 1)};
    tried.workload.training.global_batch = tried.workload.training.micro_batch;
    double slowest = 0.0;
    const TrainingJob job = make_training_job(tried, {});
    for (const StageJob& stage : job.groups.front().stages)
      slowest = std::max(slowest, (stage.chunks.front().forward.total() + stage.chunks.front().backward.total()).count());
    if (slowest >= least * (1.0 - 1e-12)) continue;
    least = slowest;
    best = layers;
  }
  return best;
}

// Every shape on every pool and over both, every number of replicas and of micro-batches that add up to the batch.
Tried brute_force(const Scenario& scenario, const TrainingSpace& space) {
  struct Part {
    TrainingShape shape;
    std::int64_t replicas;
    std::int64_t micro_batches;
  };
  const std::int64_t batch = scenario.workload.training.global_batch;
  std::vector<std::vector<Part>> parts(scenario.cluster.pools.size());
  for (const std::size_t pool : space.pools) {
    for (TrainingShape shape : shapes_on(scenario, space, pool)) {
      for (std::int64_t replicas = 1; replicas <= most_replicas(scenario, shape); ++replicas) {
        for (std::int64_t m = 1; m * replicas <= batch; ++m) parts[pool].push_back({shape, replicas, m});
      }
    }
  }
  // Over both pools, first stages on either.
  std::vector<Part> over = {{{}, 0, 0}};  // the first one stands for none
  for (const std::size_t first : {0U, 1U}) {
    if (space.pools.size() < 2) continue;
    for (TrainingShape shape : shapes_over(scenario, space, first, 1 - first)) {
      shape.last->layers = layers_on_last(scenario, shape);
      for (std::int64_t replicas = 1; replicas <= most_replicas(scenario, shape); ++replicas) {
        for (std::int64_t m = 1; m * replicas <= batch; ++m) over.push_back({shape, replicas, m});
      }
    }
  }
  Tried best;
  const auto attempt = [&](const std::vector<const Part*>& chosen) {
    Scenario tried = scenario;
    tried.plan.groups.clear();
    std::string text;
    for (const Part* part : chosen) {
      if (part->replicas == 0) continue;
      tried.plan.groups.push_back(group_of(scenario, part->shape, part->replicas, part->micro_batches));
      text += std::to_string(part->replicas) + " x " + text_of(part->shape) + " ";
    }
    if (const auto step = step_of(tried); step && *step < best.step_s) best = {*step, text};
  };
  const auto taken = [](const Part& part) { return part.replicas * part.micro_batches; };
  const auto room = [&](const Part& part, std::size_t pool) { return part.replicas == 0 ? 0 : part.replicas * part.shape.devices_in(pool); };
  for (std::vector<Part>& own : parts) own.push_back({{}, 0, 0});
  for (const Part& o : over) {
    for (const Part& a : parts[0]) {
      if (taken(o) + taken(a) > batch || room(o, 0) + room(a, 0) > scenario.cluster.pools[0].devices()) continue;
      for (const Part& b : parts[1]) {
        if (taken(o) + taken(a) + taken(b) != batch || room(o, 1) + room(b, 1) > scenario.cluster.pools[1].devices()) continue;
        attempt({&o, &a, &b});
      }
    }
  }
  return best;
}

TrainingQuestion fastest_step() {
  TrainingQuestion question;
  question.objective = TrainingObjective::kStep;
  question.free_ways = false;
  question.top = 1;
  question.predict.fidelity = Fidelity::kClosed;
  question.predict.draws = 1;
  return question;
}

void expect_as_good_as_brute_force(const Small& small) {
  const Scenario scenario = scenario_with(small);
  const TrainingSpace space = training_space(scenario, {}, false, 0);
  const Tried best = brute_force(scenario, space);
  const TrainingAnswer answer = plan_training(scenario, {}, fastest_step());
  const auto planned = step_of(answer.plans.front().scenario);
  ASSERT_TRUE(planned) << "the planner's plan must run";
  EXPECT_LE(*planned, best.step_s * (1.0 + 1e-9))
      << "planned " << answer.plans.front().name << ", found by trying all: " << best.plan;
}

TEST(PlanTraining, AsGoodAsBruteForce) {
  expect_as_good_as_brute_force({1, 1, 4, 4});
  expect_as_good_as_brute_force({2, 1, 4, 5});
  expect_as_good_as_brute_force({1, 2, 3, 6});
}

// Random small fleets; few, since each is priced some thousand times.
TEST(PlanTraining, AsGoodAsBruteForceOnRandomSmallSpaces) {
  std::mt19937 random(20261126);
  const auto between = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  for (int i = 0; i < 8; ++i) {
    const Small small{between(1, 2), between(1, 2), between(2, 4), between(2, 6)};
    SCOPED_TRACE(std::to_string(small.h100_nodes) + " + " + std::to_string(small.gb200_nodes) + " nodes, " +
                 std::to_string(small.layers) + " layers, batch " + std::to_string(small.batch));
    expect_as_good_as_brute_force(small);
  }
}

// Both pools together hold the model, neither does alone: the pipeline spans them, with more layers on the quicker devices.
TEST(PlanTraining, SpansTwoPoolsWhereNoneHasRoom) {
  Scenario scenario = scenario_with({1, 1, 4, 4});
  for (Pool& pool : scenario.cluster.pools) pool.node.devices = 1;
  scenario.plan = default_plan(scenario);
  // Each device has room for its stage of a pipeline over both, and no more.
  TrainingShape over{0, 1, 1, 1, 2, 1, 1, LastStages{1, 1, 0}};
  over.last->layers = layers_on_last(scenario, over);
  const GroupPlan cut = group_of(scenario, over, 1, scenario.workload.training.global_batch);
  for (const int stage : {0, 1}) {
    const TrainingMemory needed = training_memory(scenario.model, cut, scenario.workload.training, {stage, 0}, 1,
                                                  scenario.workload.training.global_batch);
    scenario.devices.at(stage == 0 ? "h100-sxm" : "gb200-nvl72").memory = needed.total() * 1.001;
  }
  for (const char* pool : {"h100", "gb200"}) {
    TrainingQuestion alone = fastest_step();
    alone.pools = {pool};
    EXPECT_THROW(static_cast<void>(plan_training(scenario, {}, alone)), Error) << pool;
  }
  const PlannedTraining best = plan_training(scenario, {}, fastest_step()).plans.front();
  check_plan(best.scenario.plan, best.scenario, "plan");
  const GroupPlan& group = best.scenario.plan.groups.front();
  EXPECT_EQ(devices_per_replica(group).size(), 2U) << best.name;
  std::int64_t layers = 0;
  for (const StagePlan& stage : group.stages) layers += stage.layers.size();
  EXPECT_EQ(layers, scenario.model.layers);
  const TrainingSpace space = training_space(scenario, {}, false, 0);
  const Tried tried = brute_force(scenario, space);
  EXPECT_LE(*step_of(best.scenario), tried.step_s * (1.0 + 1e-9)) << best.name << ", found by trying all: " << tried.plan;
}

// Pools in another order are the same fleet.
TEST(PlanTraining, DoesNotDependOnTheOrderOfPools) {
  Scenario scenario = scenario_with({2, 2, 4, 6});
  const TrainingAnswer one = plan_training(scenario, {}, fastest_step());
  std::swap(scenario.cluster.pools[0], scenario.cluster.pools[1]);
  const TrainingAnswer other = plan_training(scenario, {}, fastest_step());
  // Draws belong to groups by position, so that nominal steps are what can be compared.
  EXPECT_DOUBLE_EQ(one.plans.front().closed_step_s, other.plans.front().closed_step_s);
}

TEST(PlanTraining, EveryLeftOutShapeHasAReason) {
  const Scenario scenario = scenario_with({1, 1, 4, 4});
  const TrainingSpace space = training_space(scenario, {}, false, 0);
  SearchLimits limits;
  limits.slowest_step_s = 1e-3;  // nothing is as fast
  const SearchResult result = search_training(scenario, space, TrainingObjective::kStep, {}, limits);
  EXPECT_TRUE(result.choices.empty());
  EXPECT_EQ(result.pruned.total(), result.shapes);
}

TEST(PlanTraining, WhatDoesNotFitNamesTheBindingConstraint) {
  Scenario scenario = scenario_with({1, 1, 4, 4});
  for (auto& [name, device] : scenario.devices) device.memory = Bytes(4e9);
  try {
    static_cast<void>(plan_training(scenario, {}, fastest_step()));
    FAIL() << "4 GB hold no replica";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kInfeasible);
    const std::string text = e.what();
    for (const char* part : {"no plan fits", "memory", "Nearest: ", "GiB (weights "})
      EXPECT_NE(text.find(part), std::string::npos) << text;
  }
}

// What a plan draws is what its devices may draw under the site's cap, as its steps are priced.
TEST(PlanTraining, KeepsTheSitesCap) {
  Scenario scenario = scenario_with({1, 1, 4, 4});
  const double free = plan_training(scenario, {}, fastest_step()).plans.front().power.value();
  const double idle = (idle_power(scenario) * scenario.cluster.power.pue).value();
  scenario.cluster.power.site_cap = Watts(0.5 * (free + idle));
  TrainingQuestion question = fastest_step();
  for (const TrainingObjective objective : {TrainingObjective::kStep, TrainingObjective::kPower}) {
    question.objective = objective;
    const PlannedTraining best = plan_training(scenario, {}, question).plans.front();
    EXPECT_LE(best.power.value(), scenario.cluster.power.site_cap.value() * (1.0 + 1e-9)) << name_of(objective);
    EXPECT_GT(best.power.value(), 0.0);
  }
}

TEST(PlanTraining, ContradictoryQuestionsAreRefused) {
  const Scenario scenario = scenario_with({1, 1, 4, 4});
  TrainingQuestion question = fastest_step();
  question.pools = {"h10"};
  EXPECT_THROW(static_cast<void>(plan_training(scenario, {}, question)), Error);
  question = fastest_step();
  question.most_batch = 3;
  EXPECT_THROW(static_cast<void>(plan_training(scenario, {}, question)), Error);
}

Scenario colossus1() {
  return load_scenario(fs::path(LINDOS_SOURCE_DIR) / "scenarios" / "colossus1-training.toml", catalogue());
}

// TP 8 × CP 2 × PP 8 with 15 chunks and 5 micro-batches on all pools was found by hand (docs/colossus.md).
TEST(PlanTraining, FindsAtLeastWhatWasFoundByHandOnColossus1) {
  const Scenario scenario = colossus1();
  Scenario by_hand = scenario;
  by_hand.plan.groups.clear();
  const std::int64_t replicas[] = {1171, 390, 156};
  for (std::size_t pool = 0; pool < 3; ++pool)
    by_hand.plan.groups.push_back(group_of(scenario, {pool, 8, 2, 1, 8, 15, 1}, replicas[pool], 5));
  const auto hand = step_of(by_hand);
  ASSERT_TRUE(hand);
  TrainingQuestion question = fastest_step();
  question.predict.draws = 4;
  const TrainingAnswer answer = plan_training(scenario, {}, question);
  EXPECT_LE(answer.plans.front().closed_step_s, *hand * (1.0 + 1e-9));
  EXPECT_EQ(answer.plans.front().changes, "");
}

}  // namespace
}  // namespace lindos::sim
