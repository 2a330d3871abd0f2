// SPDX-License-Identifier: Apache-2.0
// The engine on a GPU, end to end, on Llama-3.1-8B's shape with synthetic weights (random:1): decode at several
// batches and contexts against the measured read bandwidth, prefill against the dense peak.
//   gpu_engine [--out FILE.json] [--model NAME] [--weights bf16|f16|fp8]   bf16 and, on Hopper, FP8 where --weights is absent
// qwen3-30b-a3b has 61 GB of weights (FP8: half) and 19 GB of KV: an H200.
// Beside FILE.json, prompts.json has prompts and greedy outputs, with which bench/peers_gpu.py compares.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "data/catalogue.h"
#include "exec/cuda/device_info.h"
#include "exec/cuda/launch_timing.h"
#include "exec/runner/replica.h"
#include "scenarios/balance.h"
#include "scenarios/error.h"
#include "scenarios/ops.h"
#include "scenarios/timeline.h"

namespace lindos::bench {
namespace {

using exec::cuda::random_numbers;
using exec::cuda::time_launches;
using exec::cuda::Timed;

using Json = nlohmann::ordered_json;

struct Case {
  std::int64_t batch, prompt, output;
};

// Dense peak of an H100/H200 SXM in bf16 and f16 (datasheet), to which MFU refers.
constexpr double kDensePeak = 989.5e12;
constexpr double kDatasheetBandwidth = 4.8e12;

double read_bandwidth() {
  const exec::cuda::Stream stream;
  const exec::cuda::DeviceBuffer data = random_numbers(kernels::cuda::Element::kBf16, std::int64_t{2} << 30, 1, stream);
  const exec::cuda::DeviceBuffer sink(16);
  const Timed read = time_launches(stream, 1, [&](int) {
    kernels::cuda::stream_read(data.as<void>(), data.bytes(), sink.as<std::uint32_t>(), {stream.get(), false});
  });
  return static_cast<double>(data.bytes()) / read.best_s;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0.0 : values[values.size() / 2];
}

class Bench {
 public:
  Bench(const std::string& name, Dtype weights, double bandwidth) : bandwidth_(bandwidth) {
    const Catalogue catalogue = load_catalogue(default_catalogue_dir());
    config_.model = catalogue.models.at(name);
    EngineLimits limits;
    limits.max_batched_tokens = 8192;
    limits.prefill_chunk = 8192;
    limits.max_sequences = 64;
    limits.block_tokens = 64;
    limits.max_context = 8448;
    config_.group = make_plan(config_.model, "gpu", 1, {1}, {1}, weights, limits, kGpuGranule).groups.front();
    config_.checkpoint = exec::make_synthetic(config_.model, 1, exec::read_dtype(weights));
    config_.backend = exec::Backend::kCuda;
    config_.kv_blocks = 3072;
    const auto t0 = std::chrono::steady_clock::now();
    replica_ = exec::Replica::in_process(config_);
    start_s_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - t0).count();
  }

  Json run(Json& prompts) {
    Json result;
    result["read_bytes_per_s"] = bandwidth_;
    result["model"] = config_.model.name;
    result["weights"] = name_of(config_.group.weight_dtype);
    result["start_s"] = start_s_;
    fmt::print("weights {}: read {:.3f} TB/s; engine ready after {:.1f} s\n", name_of(config_.group.weight_dtype), bandwidth_ / 1e12, start_s_);
    Json decode = Json::array();
    for (const Case& c : {Case{1, 128, 128}, Case{1, 1024, 64}, Case{1, 4096, 64}, Case{2, 128, 64}, Case{4, 128, 64}, Case{8, 128, 64}, Case{16, 128, 64},
                          Case{32, 128, 64}, Case{64, 128, 64}, Case{64, 1024, 64}}) {
      decode.push_back(measure(c, prompts));
    }
    result["decode"] = decode;
    Json prefill = Json::array();
    for (const std::int64_t tokens : {512, 2048, 8192}) prefill.push_back(prompt_only(tokens));
    result["prefill"] = prefill;
    return result;
  }

 private:
  exec::EngineRun serve(const Case& c) {
    std::vector<RequestSpec> requests;
    for (std::int64_t i = 0; i < c.batch; ++i) requests.push_back({static_cast<std::uint64_t>(i), Seconds{0}, c.prompt, c.output});
    exec::RunOptions options;
    options.prompt = [&](const RequestSpec& r) { return exec::synthetic_prompt(r, 1, config_.model.vocab); };
    return replica_->run(requests, options);
  }

  // Bytes that a decode step must read: weights once (embedding row apart), keys and values of every sequence.
  double step_bytes(const Batch& batch) const {
    double bytes = 0.0;
    for (const Op& op : step_ops(config_.model, config_.group, {0, 0}, batch)) {
      bytes += (op.weight_bytes + op.kv_bytes).value() * static_cast<double>(op.count);
    }
    return bytes;
  }

  Json measure(const Case& c, Json& prompts) {
    (void)serve({c.batch, c.prompt, 4});
    const exec::EngineRun run = serve(c);
    std::vector<double> times;
    std::vector<double> rates;
    for (std::size_t i = 0; i < run.steps.size(); ++i) {
      const Batch& batch = run.steps[i];
      const bool full = static_cast<std::int64_t>(batch.size()) == c.batch &&
                        std::all_of(batch.begin(), batch.end(), [](const Slice& s) { return s.is_decode(); });
      if (!full) continue;
      times.push_back(run.step_times[i].count());
      rates.push_back(step_bytes(batch) / times.back());
    }
    const double step = median(times);
    const double rate = median(rates);
    Json families;
    double device = 0.0;
    for (std::size_t f = 0; f < exec::kOpFamilies; ++f) {
      families[std::string(name_of(static_cast<exec::OpFamily>(f)))] = run.ranks.front().family_s[f];
      device += run.ranks.front().family_s[f];
    }
    fmt::print("decode batch {:>2} prompt {:>4}: {:7.3f} ms/step, {:8.1f} tok/s, {:5.1f} % of read, {:5.1f} % of datasheet; device {:.1f} % of wall\n", c.batch,
               c.prompt, step * 1e3, static_cast<double>(c.batch) / step, rate / bandwidth_ * 100, rate / kDatasheetBandwidth * 100,
               device / run.wall.count() * 100);
    if ((c.batch == 1 || c.batch == 64) && c.prompt == 128) {
      for (std::int64_t i = 0; i < std::min<std::int64_t>(c.batch, 4); ++i) {
        prompts["prompts"].push_back(exec::synthetic_prompt({static_cast<std::uint64_t>(i), Seconds{0}, c.prompt, c.output}, 1, config_.model.vocab));
        prompts["outputs"].push_back(run.outcome.outputs[static_cast<std::size_t>(i)]);
      }
    }
    return {{"batch", c.batch}, {"prompt", c.prompt}, {"output", c.output}, {"step_s", step}, {"tokens_per_s", static_cast<double>(c.batch) / step},
            {"bytes_per_s", rate}, {"share_of_read", rate / bandwidth_}, {"share_of_datasheet", rate / kDatasheetBandwidth}, {"steps", times.size()},
            {"family_s", families}, {"wall_s", run.wall.count()}};
  }

  // Products of FP8 weights run at twice the rate of 16-bit ones.
  [[nodiscard]] double peak() const { return config_.group.weight_dtype == Dtype::kFp8 ? 2.0 * kDensePeak : kDensePeak; }

  Json prompt_only(std::int64_t tokens) {
    (void)serve({1, tokens, 1});
    std::vector<double> times;
    Json families;
    for (int i = 0; i < 3; ++i) {
      const exec::EngineRun run = serve({1, tokens, 1});
      times.push_back(run.step_times.front().count());
      for (std::size_t f = 0; f < exec::kOpFamilies; ++f) families[std::string(name_of(static_cast<exec::OpFamily>(f)))] = run.ranks.front().family_s[f];
    }
    double flop = 0.0;
    for (const Op& op : step_ops(config_.model, config_.group, {0, 0}, {{0, tokens, true}})) flop += op.flop.value() * static_cast<double>(op.count);
    const double time = median(times);
    fmt::print("prefill {:>5}: {:8.2f} ms, {:.1f} % MFU (causal half, dense peak {:.1f} TFLOP/s): {}\n", tokens, time * 1e3, flop / time / peak() * 100,
               peak() / 1e12, families.dump());
    return {{"tokens", tokens}, {"time_s", time}, {"flop", flop}, {"mfu", flop / time / peak()}, {"family_s", families}};
  }

  double bandwidth_;
  double start_s_ = 0.0;
  exec::EngineConfig config_;
  std::unique_ptr<exec::Replica> replica_;
};

}  // namespace
}  // namespace lindos::bench

int main(int argc, char** argv) {
  // Whole lines at once: what was measured shows even when a time limit ends the program.
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  std::string out;
  std::string model = "llama-3.1-8b";
  std::string weights;
  for (int i = 1; i < argc; i += 2) {
    const std::string option = argv[i];
    std::string* target = option == "--out" ? &out : option == "--model" ? &model : option == "--weights" ? &weights : nullptr;
    if (target == nullptr || i + 1 >= argc) {
      fmt::print(stderr, "usage: gpu_engine [--out FILE.json] [--model NAME] [--weights bf16|f16|fp8]\n");
      return 2;
    }
    *target = argv[i + 1];
  }
  if (std::set<std::string>{"", "bf16", "f16", "fp8"}.count(weights) == 0) {
    fmt::print(stderr, "gpu_engine: --weights: expected bf16, f16 or fp8, saw \"{}\"\n", weights);
    return 2;
  }
  try {
    const lindos::exec::cuda::DeviceInfo device = lindos::exec::cuda::device_or_throw();
    nlohmann::ordered_json prompts;
    nlohmann::ordered_json none;
    // Once, while the device is cool: after minutes at its power limit it reads a tenth slower.
    const double read = lindos::bench::read_bandwidth();
    nlohmann::ordered_json result;
    if (weights != "fp8") result = lindos::bench::Bench(model, *lindos::find_dtype(weights.empty() ? "bf16" : weights), read).run(prompts);
    if ((weights.empty() || weights == "fp8") && device.compute_capability == 90) {
      result["fp8"] = lindos::bench::Bench(model, lindos::Dtype::kFp8, read).run(none);
    }
    result["device"] = device.name;
    result["driver_cuda"] = device.driver;
    if (!out.empty()) {
      std::ofstream(out) << result.dump(1) << '\n';
      if (!prompts.empty()) std::ofstream(std::filesystem::path(out).replace_filename("prompts.json")) << prompts.dump() << '\n';
    }
  } catch (const std::exception& e) {
    fmt::print(stderr, "gpu_engine: {}\n", e.what());
    return 1;
  }
  return 0;
}
