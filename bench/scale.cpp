// SPDX-License-Identifier: Apache-2.0
// One training step of a fleet of a given size on one rung; prints one JSON object. bench/scale
// runs it for all sizes and takes its time and peak memory.
//
//   scale_bench RUNG GPUS [nominal]     RUNG: closed, maxplus, simgrid, every-pass
//
// The fleet is Colossus 1's mix scaled (15 : 5 : 2 of H100, H200, GB200) with its fabric; the job
// is synthetic with the sizes of Llama 3.1 405B at TP 8 x PP 16, eight micro-batches of 8,192
// tokens, so that the benchmark measures the simulators and not the pricing of operators. Unless
// `nominal`, every stage of every replica deviates, so that no two events fall together.
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <thread>

#include "scenarios/error.h"
#include "scenarios/hardware.h"
#include "sim/training/closed_training.h"
#include "sim/training/maxplus_training.h"
#include "sim/training/simgrid_training.h"

namespace {

using namespace lindos;
using namespace lindos::sim;

struct Kind {
  const char* name;
  double share;  // of all devices
  int devices_per_node;
  int nodes_per_rack;
  int domain;
  double peak;  // FLOP/s
};
constexpr Kind kKinds[] = {
    {"h100", 150.0 / 220.0, 8, 8, 8, 989e12},
    {"h200", 50.0 / 220.0, 8, 8, 8, 989e12},
    {"gb200", 20.0 / 220.0, 4, 18, 72, 2500e12},
};
constexpr int kStages = 16;
constexpr int kDevicesPerStage = 8;
constexpr int kMicroBatches = 8;
constexpr double kNic = 50e9;
constexpr double kEfficiency = 0.95;

struct Case {
  Cluster cluster;
  std::map<std::string, Device> devices;
  TrainingJob job;
  StepDraw draw;
};

// A stage of 405e9 / 16 parameters on eight devices at 40 % of peak.
StageJob stage_of(const Kind& kind) {
  constexpr double kParameters = 405e9 / kStages / kDevicesPerStage;
  constexpr double kTokens = 8192.0;
  StageJob stage;
  stage.pool = kind.name;
  stage.devices = kDevicesPerStage;
  stage.peak = FlopPerSecond(kind.peak * kDevicesPerStage);
  ChunkWork work;
  const Seconds useful = Flop(2.0 * kParameters * kTokens) / FlopPerSecond(kind.peak);
  work.forward.add(Cause::kUseful, useful);
  work.forward.add(Cause::kKernelInefficiency, useful);
  work.forward.add(Cause::kExposedTensor, useful * 0.5);
  work.backward.add(work.forward, 2.0);
  work.forward_message = work.backward_message = Bytes(kTokens * 16384.0 * 2.0 / kDevicesPerStage);
  stage.chunks.push_back(work);
  stage.next = {BytesPerSecond(kNic * kEfficiency), Seconds(12e-6), ""};
  stage.exchange.reduce = Bytes(kParameters * 4.0);
  stage.exchange.gather = Bytes(kParameters * 2.0);
  stage.optimizer.add(Cause::kMemoryBound, Seconds(0.02));
  return stage;
}

Case make_case(std::int64_t gpus, bool nominal) {
  Case c;
  c.cluster.fabric = {"ethernet-fat-tree", 128, 8, 1.0, 1.0, kEfficiency, Seconds(1e-6), {}};
  std::mt19937 random(1);
  std::lognormal_distribution<float> deviation(0.0F, 0.01F);
  c.job.ranks_in_exchange = 0;
  for (const Kind& kind : kKinds) {
    Device device;
    device.name = kind.name;
    device.scale_up_bandwidth = BytesPerSecond(450e9);
    device.scale_up_domain = kind.domain;
    device.scale_out_bandwidth = BytesPerSecond(kNic);
    c.devices[kind.name] = device;
    Pool pool;
    pool.name = kind.name;
    pool.node = {kind.name, kind.name, kind.devices_per_node, Watts{0}, Watts{0}};
    pool.nodes = std::llround(static_cast<double>(gpus) * kind.share / kind.devices_per_node);
    pool.nodes_per_rack = kind.nodes_per_rack;
    pool.racks_per_array = 8;
    c.cluster.pools.push_back(pool);
    GroupJob group;
    group.name = group.pool = group.device = kind.name;
    group.devices_per_node = kind.devices_per_node;
    group.replicas = pool.devices() / (kStages * kDevicesPerStage);
    if (group.replicas == 0) continue;
    group.micro_batches = kMicroBatches;
    group.stages.assign(kStages, stage_of(kind));
    c.job.ranks_in_exchange += group.replicas;
    std::vector<float> factors;
    for (std::int64_t i = 0; !nominal && i < group.replicas * kStages; ++i)
      factors.push_back(deviation(random));
    c.draw.slowdown.push_back(factors);
    c.job.groups.push_back(group);
  }
  // Ring: (n - 1) steps of 14 us each way (NCCL Simple, handbook 2.3) and the bytes at the NIC's
  // rate.
  const auto n = static_cast<double>(c.job.ranks_in_exchange);
  for (GroupJob& group : c.job.groups) {
    for (StageJob& stage : group.stages) {
      const auto time = [&](Bytes buffer) {
        return Seconds((n - 1.0) * 14e-6) +
               buffer * ((n - 1.0) / n) / BytesPerSecond(kNic * kEfficiency);
      };
      stage.exchange.reduce_time = time(stage.exchange.reduce);
      stage.exchange.gather_time = time(stage.exchange.gather);
    }
  }
  return c;
}

// Evaluations per second, ledger included, of plans that differ in their micro-batches.
double closed_rate(const TrainingJob& job, unsigned threads) {
  constexpr int kEvaluations = 20000;
  std::vector<double> steps(threads);
  const auto search = [&](unsigned thread) {
    TrainingJob own = job;
    double sum = 0.0;
    for (int i = 0; i < kEvaluations; ++i) {
      for (GroupJob& group : own.groups) group.micro_batches = kMicroBatches + i % 7;
      sum += closed_step(own).step.count();
    }
    steps[thread] = sum;
  };
  const auto begin = std::chrono::steady_clock::now();
  std::vector<std::thread> searches;
  for (unsigned t = 1; t < threads; ++t) searches.emplace_back(search, t);
  search(0);
  for (std::thread& t : searches) t.join();
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
  for (const double sum : steps) {
    if (sum != steps.front()) throw Error(ErrorKind::kEnvironment, "closed", "threads disagree");
  }
  return static_cast<double>(threads) * kEvaluations / wall.count();
}

int usage() {
  std::fprintf(stderr, "usage: scale_bench closed|maxplus|simgrid|every-pass GPUS [nominal]\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3 || argc > 4 || (argc == 4 && std::string_view(argv[3]) != "nominal")) return usage();
  const std::string_view rung = argv[1];
  const std::int64_t gpus = std::atoll(argv[2]);
  if (gpus < 1024) {
    std::fprintf(stderr,
                 "scale_bench: at least 1,024 GPUs, so that each kind has room for a replica\n");
    return 2;
  }
  try {
    const Case c = make_case(gpus, argc == 4);
    if (rung == "closed") {
      // One evaluation is microseconds: many, as a search makes them, on one core and on all.
      const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
      const double one = closed_rate(c.job, 1);
      std::printf("{\"rung\": \"closed\", \"gpus\": %lld, \"step_s\": %.9f, \"wall_s\": %.9f, \"evaluations_per_s\": %.0f, "
                  "\"cores\": %u, \"evaluations_per_s_all_cores\": %.0f}\n",
                  static_cast<long long>(gpus), closed_step(c.job).step.count(), 1.0 / one, one, cores, closed_rate(c.job, cores));
      return 0;
    }
    const auto begin = std::chrono::steady_clock::now();
    StepOutcome outcome;
    if (rung == "maxplus") {
      outcome = MaxplusTraining(c.job).step(c.draw);
    } else if (rung == "simgrid" || rung == "every-pass") {
      outcome =
          simgrid_step(c.job, c.cluster, c.devices, c.draw, {.every_pass = rung == "every-pass"});
    } else {
      return usage();
    }
    const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
    std::printf("{\"rung\": \"%s\", \"gpus\": %lld, \"step_s\": %.9f, \"wall_s\": %.6f}\n", argv[1],
                static_cast<long long>(gpus), outcome.step.count(), wall.count());
  } catch (const Error& e) {
    std::fprintf(stderr, "scale_bench: %s\n", e.what());
    return e.exit_code();
  }
  return 0;
}
