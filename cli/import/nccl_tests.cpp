// SPDX-License-Identifier: Apache-2.0
// Keys as nccl-tests' src/util.cu writes them (file version 2; 1 lacks fields that are not read
// here). Sizes are those of the whole buffer, as in CollectiveSample; times are microseconds.
#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "cli/import/import.h"
#include "scenarios/error.h"
#include "scenarios/json_reader.h"

namespace lindos::cli {

namespace {

constexpr double kMicrosecond = 1e-6;
constexpr double kMostMicroseconds = 1e12;

constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kTests = {
    {{"all_reduce_perf", "all_reduce"},
     {"all_gather_perf", "all_gather"},
     {"reduce_scatter_perf", "reduce_scatter"},
     {"alltoall_perf", "all_to_all"},
     {"sendrecv_perf", "send_recv"}}};

std::string op_of(const nlohmann::json& document, JsonObject& root) {
  std::string program;
  if (document.contains("args") && document.at("args").is_array() && !document.at("args").empty() &&
      document.at("args").front().is_string()) {
    program = document.at("args").front().get<std::string>();
  }
  program = program.substr(program.find_last_of('/') + 1);
  for (const auto& [test, op] : kTests) {
    if (program == test) return std::string(op);
  }
  root.fail("args", fmt::format("starts with \"{}\"; expected all_reduce_perf, all_gather_perf, "
                                "reduce_scatter_perf, alltoall_perf or "
                                "sendrecv_perf",
                                program));
}

// NCCL's code: 22809 = 2.28.9.
std::string version_text(std::int64_t code) {
  constexpr std::int64_t kMajor = 10000, kMinor = 100;
  return fmt::format("{}.{}.{}", code / kMajor, code % kMajor / kMinor, code % kMinor);
}

// The faster placement of one result; in microseconds.
double time_of(JsonObject& result, const nlohmann::json& value) {
  double best = INFINITY;
  for (const char* placement : {"out_of_place", "in_place"}) {
    if (!value.contains(placement) || value.at(placement).is_null()) continue;
    JsonObject timed = result.object(placement);
    if (timed.has("cpu_time"))
      timed.fail("cpu_time", "is the time of the calls only (-C); run it without");
    best = std::min(best, timed.number("time", 0.0, kMostMicroseconds));
    if (timed.has("nwrong") && value.at(placement).at("nwrong").is_number() &&
        timed.number("nwrong") != 0) {
      timed.fail("nwrong", "the results of this size were wrong");
    }
  }
  if (std::isinf(best)) result.fail("", "holds neither out_of_place nor in_place");
  return best;
}

}  // namespace

NcclTests read_nccl_tests(std::string_view text, const std::string& where) {
  const nlohmann::json document = parse_json(text, where);
  JsonObject root(document, "", where);
  if (const std::int64_t version = root.integer("version", 1); version > 2) {
    root.fail("version",
              fmt::format("{} is newer than 2, the newest that this program knows", version));
  }
  NcclTests out;
  const std::string op = op_of(document, root);
  out.version = version_text(root.integer("nccl_version", 1, 1'000'000));
  out.date = root.text("start_time").substr(0, 10);
  JsonObject config = root.object("config");
  std::int64_t processes = 1;
  if (config.has("devices")) {
    std::vector<JsonObject> devices = config.objects("devices");
    processes = std::max<std::int64_t>(1, static_cast<std::int64_t>(devices.size()));
    if (!devices.empty() && devices.front().has("device_info"))
      out.device = devices.front().text("device_info");
  }
  constexpr std::int64_t kMostRanks = 1'000'000;
  const std::int64_t ranks =
      processes * config.integer("nthreads", 1, 1024) * config.integer("ngpus", 1, 1024);
  if (ranks > kMostRanks) config.fail("devices", "more ranks than a million");
  if (config.has("iterations")) (void)config.integer("iterations", 1);
  const nlohmann::json& results =
      document.contains("results") ? document.at("results") : nlohmann::json();
  std::vector<JsonObject> objects = root.objects("results");
  for (std::size_t i = 0; i < objects.size(); ++i) {
    CollectiveSample sample;
    sample.op = op;
    sample.backend = "nccl";
    sample.ranks = static_cast<int>(ranks);
    sample.bytes = Bytes{objects[i].number("size", 0.0, 1e15)};
    sample.time = Seconds{time_of(objects[i], results.at(i)) * kMicrosecond};
    // Sizes below the ranks' count round to nothing.
    if (sample.bytes.value() > 0 && sample.time.count() > 0) out.samples.push_back(sample);
  }
  if (out.samples.empty()) root.fail("results", "holds no timed size");
  return out;
}

}  // namespace lindos::cli
