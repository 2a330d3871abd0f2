// SPDX-License-Identifier: Apache-2.0
// The lindos binary with its ranks as MPI processes gives the tokens that it gives with ranks as threads.
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include "scenarios/hf_config.h"
#include "scenarios/plan_json.h"
#include "scenarios/profile.h"
#include "scenarios/run_record.h"
#include "tests/exec/engine_harness.h"

namespace lindos::exec {
namespace {

using harness::Layout;

constexpr const char* kScenario = R"(format = "lindos-scenario"
version = 1
name = "golden"

[cluster]
name = "this machine"

[[cluster.pool]]
name = "cpu"
device = "this-machine"
node = "this-machine"
devices_per_node = 1
nodes = 1
source = "the machine that the test runs on"

[model]
name = "smollm2-135m"

[workload]
kind = "serving"
requests = 4
arrival = "together"
prompt = [5, 40]
output = 12
seed = 1

[plan]
name = "one rank"
dtype = "f32"
max_batched_tokens = 64
max_sequences = 8
max_context = 256
)";

struct Outcome {
  int code = -1;
  std::string out;
};

// Runs the command with its standard error on ours.
Outcome run(const std::string& command) {
  Outcome outcome;
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return outcome;
  char buffer[4096];
  for (std::size_t n = 0; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) outcome.out.append(buffer, n);
  const int status = ::pclose(pipe);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

class Processes : public ::testing::TestWithParam<Layout> {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(folder_);
    write("golden.toml", kScenario);
    Profile profile;   // ceilings only: nothing is measured twice
    profile.device = "this-machine";
    profile.source = "processes_test";
    profile.date = "2026-01-01";
    profile.memory = Bytes{4e9};
    profile.matrix_rate = FlopPerSecond{1e12};
    profile.read_bandwidth = BytesPerSecond{1e11};
    write("profile.json", to_json(profile));
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& name, const std::string& text) { std::ofstream(folder_ / name) << text; }

  [[nodiscard]] Outcome lindos_run(const std::string& more) const {
    const auto file = [this](const char* name) { return "'" + (folder_ / name).string() + "'"; };
    return run(std::string("'") + LINDOS_BINARY + "' run " + file("golden.toml") + " --plan " + file("plan.json") +
               " --profile " + file("profile.json") + " --checkpoint '" + checkpoint_.string() +
               "' --repeats 1 --format json --no-db --progress none " + more);
  }

  std::filesystem::path folder_ = std::filesystem::path(::testing::TempDir()) / ("lindos-processes-" + std::to_string(::getpid()));
  std::filesystem::path checkpoint_ = std::filesystem::path(LINDOS_SOURCE_DIR) / "tests/exec/golden/models/llama-gqa-9x3";
};

TEST_P(Processes, GiveTheTokensOfThreads) {
  std::ifstream in(checkpoint_ / "config.json");
  const std::string config(std::istreambuf_iterator<char>(in), {});
  const Model model = parse_hf_config(config, "config.json").model;
  EngineLimits limits = harness::small_limits();
  limits.max_context = 256;
  limits.kv_blocks = 64;
  const Layout& layout = GetParam();
  write("plan.json", to_json(make_plan(model, "cpu", static_cast<int>(layout.stage_weights.size()), layout.tensor_weights,
                                       layout.stage_weights, Dtype::kF32, limits, kCpuGranule, layout.kv_split)));
  for (const std::string sampling : {"", " --temperature 0.8 --sampling-seed 4"}) {
    const Outcome threads = lindos_run("--ranks threads" + sampling);
    const Outcome processes = lindos_run("--ranks mpi" + sampling);
    ASSERT_EQ(threads.code, 0) << threads.out;
    ASSERT_EQ(processes.code, 0) << processes.out;
    const RunRecord a = run_record_from_json(threads.out, "threads");
    const RunRecord b = run_record_from_json(processes.out, "mpi");
    EXPECT_FALSE(a.output_hash.empty());
    EXPECT_EQ(a.output_hash, b.output_hash) << sampling;
    EXPECT_EQ(a.metrics.at("memory_peak_bytes").p50, b.metrics.at("memory_peak_bytes").p50);
  }
}

INSTANTIATE_TEST_SUITE_P(Layouts, Processes,
                         ::testing::Values(Layout{"Tensor2Uneven", {2, 1}, {1}, KvSplit::kReplicate},
                                           Layout{"Pipeline2", {1}, {1, 1}, KvSplit::kReplicate},
                                           Layout{"Tensor2Pipeline2", {1, 1}, {1, 1}, KvSplit::kReplicate}),
                         [](const ::testing::TestParamInfo<Layout>& test) { return test.param.name; });

}  // namespace
}  // namespace lindos::exec
