// SPDX-License-Identifier: Apache-2.0
// How fast serving is simulated; prints one JSON object per case. bench/serving runs it.
//
//   serving_bench CASE SCENARIO CATALOGUE REPEATS     CASE: replica, fleet
//
//   replica  the max-plus rung over all requests of a scenario with one replica, the centre only: the loop itself
//   fleet    the whole prediction of a scenario, intervals included
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "data/catalogue.h"
#include "scenarios/error.h"
#include "scenarios/profile.h"
#include "scenarios/scenario.h"
#include "scenarios/text_file.h"
#include "scenarios/timeline.h"
#include "sim/fleet.h"
#include "sim/maxplus.h"
#include "sim/predict.h"

namespace {

using namespace lindos;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Timing {
  std::vector<double> seconds;
  [[nodiscard]] double median() const { return quantile(seconds, 0.5); }
  [[nodiscard]] double fastest() const { return *std::min_element(seconds.begin(), seconds.end()); }
  [[nodiscard]] double slowest() const { return *std::max_element(seconds.begin(), seconds.end()); }
};

void replica_case(const Scenario& scenario, const std::map<std::string, Profile>& profiles, int repeats) {
  const std::vector<RequestSpec> requests = generate_requests(scenario.workload.serving, scenario.workload.seed);
  Timing timing;
  std::size_t steps = 0;
  ServingSummary summary;
  for (int i = 0; i < repeats; ++i) {
    // Made anew, so that no price is known from the run before.
    sim::Fleet fleet = sim::make_fleet(scenario, profiles, {});
    sim::ServingGroup& group = fleet.groups.front();
    const auto start = Clock::now();
    const sim::ServingRun run = sim::serve_maxplus(group.replica, group.limits, requests, {});
    timing.seconds.push_back(seconds_since(start));
    steps = run.step_times.size();
    summary = summarise(run.timelines, scenario.slo);
  }
  const double span = requests.back().arrival.count();
  std::printf(
      "{\"case\": \"replica\", \"requests\": %zu, \"span_s\": %.0f, \"steps\": %zu, \"median_s\": %.4f, "
      "\"fastest_s\": %.4f, \"slowest_s\": %.4f, \"times_real_time\": %.0f, \"ttft_s\": %.6f, \"tpot_s\": %.6f}\n",
      requests.size(), span, steps, timing.median(), timing.fastest(), timing.slowest(), span / timing.median(),
      summary.ttft.count(), summary.tpot.count());
}

void fleet_case(const Scenario& scenario, const std::map<std::string, Profile>& profiles, int repeats) {
  Timing timing;
  RunRecord record;
  for (int i = 0; i < repeats; ++i) {
    const auto start = Clock::now();
    record = sim::predict(scenario, profiles);
    timing.seconds.push_back(seconds_since(start));
  }
  const auto value = [&](const char* name) {
    const auto found = record.metrics.find(name);
    return found == record.metrics.end() ? 0.0 : found->second.p50;
  };
  std::printf(
      "{\"case\": \"fleet\", \"median_s\": %.2f, \"fastest_s\": %.2f, \"slowest_s\": %.2f, \"requests_per_s\": %.0f, "
      "\"goodput\": %.6f, \"goodput_sampling_error\": %.6f, \"simulated_replicas\": %.0f}\n",
      timing.median(), timing.fastest(), timing.slowest(), value("requests_per_s"), value("goodput"),
      value("goodput_sampling_error"), value("simulated_replicas"));
}

std::map<std::string, Profile> profiles_of(const Scenario& scenario, const std::filesystem::path& catalogue) {
  std::map<std::string, Profile> profiles;
  for (const auto& [name, device] : scenario.devices) {
    const std::filesystem::path file = distilled_profile(catalogue, name);
    if (!file.empty()) profiles.emplace(name, profile_from_json(read_text_file(file, ""), file.string()));
  }
  return profiles;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: serving_bench replica|fleet SCENARIO CATALOGUE REPEATS\n");
    return 2;
  }
  try {
    const std::filesystem::path catalogue(argv[3]);
    const Scenario scenario = load_scenario(argv[2], load_catalogue(catalogue));
    const std::map<std::string, Profile> profiles = profiles_of(scenario, catalogue);
    const int repeats = std::atoi(argv[4]);
    (std::string(argv[1]) == "fleet" ? fleet_case : replica_case)(scenario, profiles, std::max(1, repeats));
  } catch (const Error& e) {
    std::fprintf(stderr, "serving_bench: %s: %s\n", e.where().c_str(), e.what());
    return 1;
  }
  return 0;
}
