// SPDX-License-Identifier: Apache-2.0
// How well the twin predicts this GPU: one probe, then a grid of runs of Llama-3.1-8B (synthetic weights random:1) at
// shapes that are not the probe's, and a few runs of seconds whose power is measured. Every prediction is made before
// the first run.
//   gpu_twin [--out FILE.json] [--model NAME] [--weights bf16|f16|fp8] [--budget SECONDS]
// Beside FILE.json, profile.json has the profile. When the budget is spent no further point is measured, and that is
// said; the grid leaves the power points their part of it.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "data/catalogue.h"
#include "exec/checkpoint/checkpoint.h"
#include "exec/cuda/device_info.h"
#include "exec/probe/cuda_probe.h"
#include "exec/runner/replica.h"
#include "exec/telemetry/device_telemetry.h"
#include "exec/telemetry/measured_record.h"
#include "scenarios/balance.h"
#include "scenarios/capacity.h"
#include "scenarios/error.h"
#include "scenarios/scenario.h"
#include "scenarios/timeline.h"
#include "sim/predict.h"

namespace lindos::bench {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kSeed = 1;
// The widest first: its shapes are the probe's. Power is measured with the last.
constexpr std::int64_t kChunks[] = {8192, 512, 2048};
constexpr std::int64_t kPowerChunk = 2048;
// Of the energy counter's steps, near 100 ms, a window of 3 s has 30; sampled every 20 ms that is exact to 1 %.
constexpr Seconds kPowerWindow{3.0};
constexpr Seconds kPowerPeriod{0.02};
constexpr double kPowerPointSeconds = 4.0;  // a window and the run that ends it
constexpr double kNearlyDone = 0.85;  // a run that ends as shortly before the window's end is not repeated
constexpr int kPowerDraws = 40;
constexpr std::int64_t kContext = 4096;
constexpr std::int64_t kSequences = 64;
constexpr const char* kMetrics[] = {"tpot_s", "output_tokens_per_s", "ttft_s", "e2e_latency_s"};

double seconds_since(Clock::time_point t0) { return std::chrono::duration<double>(Clock::now() - t0).count(); }

struct Point {
  std::int64_t chunk = 0;
  ServingWorkload load;
  RunRecord predicted;
  std::optional<RunRecord> measured;
};

// All at once: batch × prompt, none of the prompts a sample's. Poisson: mixed prompts at rates from light to busy.
std::vector<ServingWorkload> loads() {
  std::vector<ServingWorkload> list;
  const auto together = [&](std::int64_t batch, std::int64_t prompt, std::int64_t output) {
    list.push_back({batch, Arrival::kTogether, Hertz{0}, {prompt, prompt}, {output, output}});
  };
  together(1, 96, 64);
  together(1, 700, 48);
  together(1, 3000, 48);
  together(2, 1500, 48);
  together(4, 350, 48);
  together(4, 3000, 32);
  together(8, 96, 48);
  together(8, 1500, 32);
  together(12, 700, 40);
  together(24, 350, 40);
  together(48, 96, 40);
  together(64, 200, 32);
  const auto poisson = [&](std::int64_t requests, double rate, LengthRange prompt) {
    list.push_back({requests, Arrival::kPoisson, Hertz{rate}, prompt, {24, 64}});
  };
  poisson(12, 10.0, {96, 700});
  poisson(24, 20.0, {96, 1500});
  poisson(40, 60.0, {200, 700});
  return list;
}

// Runs of about 3 s each: decodes of batches between the power samples', prompts alone, and a stream of both.
std::vector<ServingWorkload> power_loads() {
  const auto together = [](std::int64_t batch, std::int64_t prompt, std::int64_t output) {
    return ServingWorkload{batch, Arrival::kTogether, Hertz{0}, {prompt, prompt}, {output, output}};
  };
  return {together(1, 120, 740),  together(6, 500, 620), together(20, 300, 560),
          together(48, 150, 500), together(56, 3000, 2), {125, Arrival::kPoisson, Hertz{40.0}, {96, 1500}, {24, 64}}};
}

// A load whose power is measured over a window of whole runs, one after the other.
struct PowerPoint {
  ServingWorkload load;
  RunRecord predicted;
  struct Measured {
    double power_w = 0.0;
    double output_tokens_per_s = 0.0;
    double window_s = 0.0;
    int runs = 0;
    std::string text;  // power and its source, clocks, heat, limits
  };
  std::optional<Measured> measured;
};

double metric(const RunRecord& record, const char* name) { return record.metrics.at(name).p50; }

std::string text_of(const ServingWorkload& load) {
  const std::string prompt = load.prompt.low == load.prompt.high
                                 ? fmt::format("{}", load.prompt.low)
                                 : fmt::format("{}-{}", load.prompt.low, load.prompt.high);
  const std::string arrival =
      load.arrival == Arrival::kTogether ? "together" : fmt::format("{:.0f}/s", load.rate.value());
  return fmt::format("{:>2} x {:<8} {:<8}", load.requests, prompt, arrival);
}

class Bench {
 public:
  Bench(const std::string& model, Dtype weights, double budget_s) : budget_s_(budget_s), weights_(weights), gpu_(exec::cuda::device_or_throw()) {
    const Catalogue catalogue = load_catalogue(default_catalogue_dir());
    const auto device = std::find_if(catalogue.devices.begin(), catalogue.devices.end(),
                                     [&](const auto& entry) { return exec::cuda::is_kind_of(gpu_, entry.second); });
    if (device == catalogue.devices.end()) {
      throw Error(ErrorKind::kInfeasible, gpu_.name,
                  "the catalogue has no such device, so its dense peak is not known");
    }
    device_ = device->second;
    const auto known = catalogue.models.find(model);
    if (known == catalogue.models.end())
      throw Error(ErrorKind::kInput, "--model", "the catalogue has no \"" + model + "\"");
    model_ = known->second;
    for (const std::int64_t chunk : kChunks) {
      for (const ServingWorkload& load : loads()) points_.push_back({chunk, load, {}, {}});
    }
    for (const ServingWorkload& load : power_loads()) power_points_.push_back({load, {}, {}});
    grid_budget_s_ = budget_s - kPowerPointSeconds * static_cast<double>(power_points_.size());
  }

  void run() {
    probe();
    predict();
    for (const std::int64_t chunk : kChunks) measure(chunk);
  }

  [[nodiscard]] const Profile& profile() const { return profile_; }

  // Prints the table and returns the whole as JSON.
  [[nodiscard]] Json report() const {
    Json json = {{"device", gpu_.name},
                 {"driver_cuda", gpu_.driver},
                 {"model", model_.name},
                 {"weights", name_of(weights_)},
                 {"probe_s", probe_s_},
                 {"predict_s", predict_s_},
                 {"fidelity", "maxplus"}};
    json["profile"] = {{"digest", digest(profile_)},
                       {"read_bytes_per_s", profile_.read_bandwidth.value()},
                       {"step_overhead_s", profile_.step_overhead.count()},
                       {"per_sequence_overhead_s", profile_.per_sequence_overhead.count()},
                       {"samples",
                        {{"gemm", profile_.gemm.size()},
                         {"attention", profile_.attention.size()},
                         {"stream", profile_.stream.size()},
                         {"stages", profile_.stages.size()},
                         {"power", profile_.power.size()}}}};
    std::map<std::string, std::vector<double>> errors;
    std::map<std::string, int> covered;
    fmt::print("{:<26} {:>6}  {:>20} {:>20} {:>20}\n", "point", "chunk", "tpot ms pred/meas", "tok/s pred/meas",
               "ttft ms pred/meas");
    Json points = Json::array();
    for (const Point& point : points_) {
      if (!point.measured) continue;
      Json entry = {{"arrival", point.load.arrival == Arrival::kTogether ? "together" : "poisson"},
                    {"rate_per_s", point.load.rate.value()},
                    {"chunk", point.chunk},
                    {"requests", point.load.requests},
                    {"prompt", {point.load.prompt.low, point.load.prompt.high}},
                    {"output", {point.load.output.low, point.load.output.high}}};
      for (const char* name : kMetrics) {
        const MetricValue& predicted = point.predicted.metrics.at(name);
        const double measured = point.measured->metrics.at(name).p50;
        const double error = predicted.p50 / measured - 1.0;
        const bool inside = measured >= predicted.p10 && measured <= predicted.p90;
        entry["metrics"][name] = {{"p10", predicted.p10}, {"p50", predicted.p50}, {"p90", predicted.p90},
                                  {"measured", measured}, {"error", error},       {"inside", inside}};
        errors[name].push_back(std::abs(error));
        covered[name] += inside ? 1 : 0;
      }
      if (const auto power = point.measured->metrics.find("power_w"); power != point.measured->metrics.end()) {
        entry["power_w"] = power->second.p50;
      }
      points.push_back(entry);
      const auto pair = [&](const char* name, double scale) {
        const double p = point.predicted.metrics.at(name).p50;
        const double m = point.measured->metrics.at(name).p50;
        return fmt::format("{:.4g}/{:.4g} {:+.1f}%", p * scale, m * scale, (p / m - 1.0) * 100);
      };
      fmt::print("{:<26} {:>6}  {:>20} {:>20} {:>20}\n", text_of(point.load), point.chunk, pair("tpot_s", 1e3),
                 pair("output_tokens_per_s", 1.0), pair("ttft_s", 1e3));
    }
    json["points"] = points;
    json["points_left_out"] = points_.size() - points.size();
    for (const char* name : kMetrics) {
      std::vector<double>& of = errors[name];
      if (of.empty()) continue;
      const double share = static_cast<double>(covered[name]) / static_cast<double>(of.size());
      json["summary"][name] = {{"points", of.size()},
                               {"median_error", quantile(of, 0.5)},
                               {"p90_error", quantile(of, 0.9)},
                               {"worst_error", quantile(of, 1.0)},
                               {"inside_interval", share}};
      fmt::print("{:<20} median |error| {:4.1f} %, p90 {:4.1f} %, worst {:4.1f} %, inside p10..p90 {:3.0f} %\n", name,
                 quantile(of, 0.5) * 100, quantile(of, 0.9) * 100, quantile(of, 1.0) * 100, share * 100);
    }
    report_power(json);
    fmt::print("probe {:.1f} s, predictions {:.1f} s, all {:.1f} s; {} of {} points measured\n", probe_s_, predict_s_,
               seconds_since(started_), points.size(), points_.size());
    return json;
  }

 private:
  void report_power(Json& json) const {
    Json points = Json::array();
    std::vector<double> errors;
    int covered = 0;
    for (const PowerSample& s : profile_.power) {
      fmt::print("profile: {:<6} {:>2} x {:<4} {:6.1f} W, {:7.2f} TFLOP/s, {:6.3f} TB/s\n", s.load, s.sequences,
                 s.tokens, s.power.value(), s.flop_rate.value() * 1e-12, s.byte_rate.value() * 1e-12);
    }
    for (const PowerPoint& point : power_points_) {
      if (!point.measured) continue;
      const PowerPoint::Measured& m = *point.measured;
      const MetricValue& predicted = point.predicted.metrics.at("power_w");
      const double tokens_per_s = metric(point.predicted, "output_tokens_per_s");
      const double error = predicted.p50 / m.power_w - 1.0;
      const bool inside = m.power_w >= predicted.p10 && m.power_w <= predicted.p90;
      errors.push_back(std::abs(error));
      covered += inside ? 1 : 0;
      points.push_back({{"arrival", point.load.arrival == Arrival::kTogether ? "together" : "poisson"},
                        {"rate_per_s", point.load.rate.value()},
                        {"chunk", kPowerChunk},
                        {"requests", point.load.requests},
                        {"prompt", {point.load.prompt.low, point.load.prompt.high}},
                        {"output", {point.load.output.low, point.load.output.high}},
                        {"window_s", m.window_s},
                        {"runs", m.runs},
                        {"telemetry", m.text},
                        {"power_w",
                         {{"p10", predicted.p10},
                          {"p50", predicted.p50},
                          {"p90", predicted.p90},
                          {"measured", m.power_w},
                          {"error", error},
                          {"inside", inside}}},
                        {"energy_per_token_j",
                         {{"p50", metric(point.predicted, "energy_per_token_j")},
                          {"measured", m.power_w / m.output_tokens_per_s}}},
                        {"output_tokens_per_s", {{"p50", tokens_per_s}, {"measured", m.output_tokens_per_s}}}});
      fmt::print("power {:<26} {:6.1f}/{:6.1f} W {:+.1f}%  {:7.0f}/{:7.0f} tok/s  {:.1f} s, {}\n", text_of(point.load),
                 predicted.p50, m.power_w, error * 100, tokens_per_s, m.output_tokens_per_s, m.window_s, m.text);
    }
    json["power_points"] = points;
    json["power_points_left_out"] = power_points_.size() - points.size();
    if (!power_absence_.empty()) {
      json["power_absence"] = power_absence_;
      fmt::print("power left out: {}\n", power_absence_);
    }
    if (errors.empty()) return;
    const double share = static_cast<double>(covered) / static_cast<double>(errors.size());
    json["summary"]["power_w"] = {{"points", errors.size()},
                                  {"median_error", quantile(errors, 0.5)},
                                  {"p90_error", quantile(errors, 0.9)},
                                  {"worst_error", quantile(errors, 1.0)},
                                  {"inside_interval", share}};
    fmt::print("{:<20} median |error| {:4.1f} %, p90 {:4.1f} %, worst {:4.1f} %, inside p10..p90 {:3.0f} %\n",
               "power_w", quantile(errors, 0.5) * 100, quantile(errors, 0.9) * 100, quantile(errors, 1.0) * 100,
               share * 100);
  }

  [[nodiscard]] GroupPlan group_of(std::int64_t chunk) const {
    EngineLimits limits;
    limits.max_batched_tokens = chunk;
    limits.prefill_chunk = chunk;
    limits.max_sequences = kSequences;
    limits.block_tokens = kGpuBlockTokens;
    limits.max_context = kContext;
    return make_plan(model_, "gpu", 1, {1.0}, {1.0}, weights_, limits, kGpuGranule).groups.front();
  }

  [[nodiscard]] Scenario scenario_of(const ServingWorkload& load, std::int64_t chunk) const {
    Scenario scenario;
    scenario.name = "gpu_twin";
    scenario.model = model_;
    scenario.devices[device_.name] = device_;
    Pool pool;
    pool.name = "gpu";
    pool.node.name = "one GPU";
    pool.node.device = device_.name;
    pool.nodes = 1;
    scenario.cluster.name = "one GPU";
    scenario.cluster.pools = {pool};
    scenario.workload.serving = load;
    scenario.workload.seed = kSeed;
    scenario.plan = {"one GPU", {group_of(chunk)}};
    return scenario;
  }

  void probe() {
    exec::CudaProbeRequest request;
    request.gpu = gpu_;
    request.device = device_;
    request.model = model_;
    for (const std::int64_t chunk : kChunks) request.groups.push_back(group_of(chunk));
    std::string phase;
    request.progress = [&](const std::string& what, double) {
      if (what != phase) fmt::print("{:6.1f} s  probe: {}\n", seconds_since(started_), what);
      phase = what;
    };
    profile_ = exec::cuda_probe(request);
    probe_s_ = seconds_since(started_);
  }

  void predict() {
    const auto t0 = Clock::now();
    sim::PredictOptions options;
    options.fidelity = sim::Fidelity::kMaxplus;
    options.draws = 100;
    for (Point& point : points_)
      point.predicted = sim::predict(scenario_of(point.load, point.chunk), {{device_.name, profile_}}, options);
    options.draws = kPowerDraws;
    for (PowerPoint& point : power_points_)
      point.predicted = sim::predict(scenario_of(point.load, kPowerChunk), {{device_.name, profile_}}, options);
    if (!power_points_.front().predicted.metrics.contains("power_w"))
      power_absence_ = "the profile has no usable power samples, so there is no prediction";
    predict_s_ = seconds_since(t0);
    fmt::print("{:6.1f} s  {} predictions\n", seconds_since(started_), points_.size() + power_points_.size());
  }

  void measure(std::int64_t chunk) {
    exec::EngineConfig config;
    config.backend = exec::Backend::kCuda;
    config.model = model_;
    config.group = group_of(chunk);
    config.checkpoint = exec::make_synthetic(model_, kSeed, exec::read_dtype(weights_));
    const auto capacity = kv_capacity(model_, config.group, {{gpu_.free_memory}});
    if (const auto* infeasible = std::get_if<Infeasible>(&capacity))
      throw Error(ErrorKind::kInfeasible, gpu_.name, infeasible->reason);
    config.kv_blocks = std::get<Capacity>(capacity).kv_blocks;
    const auto replica = exec::Replica::in_process(config);
    const exec::DeviceTelemetry telemetry =
        exec::telemetry_of({{gpu_.pci_bus_id, gpu_.name}}, exec::cuda::libraries_of(gpu_));
    exec::DeviceWatch watch(telemetry);
    exec::RunOptions options;
    options.prompt = [&](const RequestSpec& r) { return exec::synthetic_prompt(r, kSeed, model_.vocab); };
    for (Point& point : points_) {
      if (point.chunk != chunk || seconds_since(started_) > grid_budget_s_) continue;
      const std::vector<RequestSpec> requests = generate_requests(point.load, kSeed);
      // The same shapes once before: plans of products and first launches are no part of a run.
      std::vector<RequestSpec> warm_up = requests;
      for (RequestSpec& request : warm_up) {
        request.arrival = Seconds{0};
        request.output_tokens = 3;
      }
      (void)replica->run(warm_up, options);
      watch.start();
      const exec::EngineRun run = replica->run(requests, options);
      const std::vector<exec::DeviceSummary> use = watch.stop();
      point.measured = exec::measured_record({run}, config, profile_, {});
      exec::record_devices(*point.measured, telemetry, {run}, {use});
    }
    fmt::print("{:6.1f} s  chunk {} measured\n", seconds_since(started_), chunk);
    if (chunk == kPowerChunk && power_absence_.empty()) measure_power(*replica, telemetry, options);
  }

  void measure_power(exec::Replica& replica, const exec::DeviceTelemetry& telemetry, const exec::RunOptions& options) {
    exec::DeviceWatch watch(telemetry, kPowerPeriod);
    for (PowerPoint& point : power_points_) {
      if (seconds_since(started_) + kPowerPointSeconds > budget_s_) continue;
      const std::vector<RequestSpec> requests = generate_requests(point.load, kSeed);
      PowerPoint::Measured measured;
      double tokens = 0.0;
      double wall_s = 0.0;
      watch.start();
      const Clock::time_point begin = Clock::now();
      do {
        const exec::EngineRun run = replica.run(requests, options);
        for (const auto& output : run.outcome.outputs) tokens += static_cast<double>(output.size());
        wall_s += run.wall.count();
        ++measured.runs;
      } while (Clock::now() - begin < kPowerWindow * kNearlyDone);
      measured.window_s = seconds_since(begin);
      const std::vector<exec::DeviceSummary> use = watch.stop();
      measured.text = exec::describe(use);
      if (!use.front().power) {
        power_absence_ = measured.text;
        return;
      }
      measured.power_w = use.front().power->mean.value();
      measured.output_tokens_per_s = tokens / wall_s;
      point.measured = measured;
    }
    fmt::print("{:6.1f} s  power measured\n", seconds_since(started_));
  }

  double budget_s_;
  Dtype weights_;
  double grid_budget_s_ = 0.0;
  Clock::time_point started_ = Clock::now();
  exec::cuda::DeviceInfo gpu_;
  Device device_;
  Model model_;
  Profile profile_;
  double probe_s_ = 0.0;
  double predict_s_ = 0.0;
  std::vector<Point> points_;
  std::vector<PowerPoint> power_points_;
  std::string power_absence_;
};

}  // namespace
}  // namespace lindos::bench

int main(int argc, char** argv) {
  // Whole lines at once: what was measured shows even when a time limit ends the program.
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  std::string out;
  std::string model = "llama-3.1-8b";
  std::string budget = "85";
  std::string weights = "bf16";
  for (int i = 1; i < argc; i += 2) {
    const std::string option = argv[i];
    std::string* target = option == "--out"      ? &out
                          : option == "--model"  ? &model
                          : option == "--budget" ? &budget
                          : option == "--weights" ? &weights
                                                  : nullptr;
    if (target == nullptr || i + 1 >= argc) {
      fmt::print(stderr, "usage: gpu_twin [--out FILE.json] [--model NAME] [--weights bf16|f16|fp8] [--budget SECONDS]\n");
      return 2;
    }
    *target = argv[i + 1];
  }
  char* end = nullptr;
  const double budget_s = std::strtod(budget.c_str(), &end);
  if (end == budget.c_str() || *end != '\0' || !(budget_s > 0.0)) {
    fmt::print(stderr, "gpu_twin: --budget: expected seconds, saw \"{}\"\n", budget);
    return 2;
  }
  if (weights != "bf16" && weights != "f16" && weights != "fp8") {
    fmt::print(stderr, "gpu_twin: --weights: expected bf16, f16 or fp8, saw \"{}\"\n", weights);
    return 2;
  }
  try {
    lindos::bench::Bench bench(model, *lindos::find_dtype(weights), budget_s);
    bench.run();
    const nlohmann::ordered_json result = bench.report();
    if (!out.empty()) {
      std::ofstream(out) << result.dump(1) << '\n';
      std::ofstream(std::filesystem::path(out).replace_filename("profile.json")) << to_json(bench.profile()) << '\n';
    }
  } catch (const std::exception& e) {
    fmt::print(stderr, "gpu_twin: {}\n", e.what());
    return 1;
  }
  return 0;
}
