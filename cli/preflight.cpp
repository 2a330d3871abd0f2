// SPDX-License-Identifier: Apache-2.0
#include "cli/preflight.h"

#include <chrono>
#include <optional>
#include <sstream>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "cli/measure.h"
#include "exec/probe/probe.h"
#include "scenarios/error.h"
#include "scenarios/text_layout.h"

namespace lindos::cli {

namespace {

constexpr double kBusyShare = 0.25;       // of the cores: below, other work is within a measurement's spread
constexpr double kTakenShare = 0.02;      // of a GPU's memory: what the driver itself holds is less
constexpr auto kLook = std::chrono::milliseconds(300);

// What `ask` finds, or why it cannot: its error has the remedy.
template <class Ask>
PreflightCheck asked(const std::string& what, const Ask& ask) {
  try {
    return ask();
  } catch (const Error& e) {
    return {what, CheckState::kFailed, e.what()};
  }
}

PreflightCheck check_gpu_memory(const exec::cuda::DeviceInfo& gpu) {
  const double taken = (gpu.memory - gpu.free_memory).value();
  if (taken <= kTakenShare * gpu.memory.value())
    return {"other processes", CheckState::kOk, fmt::format("none holds memory of {}", gpu.name)};
  return {"other processes", CheckState::kWarning,
          fmt::format("{:.1f} of {:.1f} GB of {} are taken; nvidia-smi names who holds them", taken / 1e9,
                      gpu.memory.value() / 1e9, gpu.name)};
}

// From the load average ("0.52 0.40 …"): measured figures would hold that work too.
PreflightCheck check_load(const std::string& loadavg, int cores) {
  std::istringstream words(loadavg);
  double load = 0.0;
  if (!(words >> load)) return {"other work", CheckState::kWarning, "the system does not tell its load"};
  const std::string text = fmt::format("load average {:.2f} of the last minute on {}", load, plural(cores, "core"));
  if (load <= kBusyShare * cores) return {"other work", CheckState::kOk, text};
  return {"other work", CheckState::kWarning, text + ": what is measured would hold that work too; wait until it has ended"};
}

PreflightCheck check_clocks(const Place& place) {
  exec::DeviceWatch watch(*telemetry_of(place));
  watch.start();
  std::this_thread::sleep_for(kLook);
  return {"power and clocks", CheckState::kOk, exec::describe(watch.stop())};
}

}  // namespace

const char* name_of(CheckState state) {
  return state == CheckState::kOk ? "ok" : state == CheckState::kWarning ? "warning" : "failed";
}

std::vector<PreflightCheck> preflight(const Session& session, const CommonOptions& options,
                                      const PreflightRequest& request) {
  const Scenario& scenario = session.scenario;
  std::vector<PreflightCheck> checks;
  const auto add = [&](const std::string& what, const auto& ask) {
    checks.push_back(asked(what, ask));
    return checks.back().state != CheckState::kFailed;
  };
  const bool served = add("plan", [&]() -> PreflightCheck {
    const GroupPlan& group = serving_group(scenario);
    require_context(scenario);
    return {"plan", CheckState::kOk,
            fmt::format("group \"{}\": {} of {}", group.name, plural(static_cast<std::int64_t>(group.stages.size()), "stage"),
                        plural(group.ranks_per_replica(), "rank"))};
  });
  const int cores = exec::usable_cores();
  std::optional<Place> place;
  add("device", [&]() -> PreflightCheck {
    place = place_of(scenario, request.device);
    if (!place->gpu) return {"device", CheckState::kOk, exec::cpu_label()};
    return {"device", CheckState::kOk, fmt::format("{}, CUDA {} of the driver", place->gpu->name, place->gpu->driver)};
  });
  if (served && place) {
    add("memory", [&]() -> PreflightCheck {
      const Bytes memory = place->gpu ? place->gpu->free_memory : exec::machine_memory();
      const auto config = engine_config(scenario, *place, open_weights(request.weights, scenario), memory);
      return {"memory", CheckState::kOk,
              fmt::format("weights and {} KV blocks of {} tokens fit into {:.1f} GB", config.kv_blocks,
                          config.group.limits.block_tokens, memory.value() / 1e9)};
    });
  }
  if (place && place->gpu) {
    checks.push_back(check_gpu_memory(*place->gpu));
    add("power and clocks", [&] { return check_clocks(*place); });
  }
  if (served && place && !place->gpu) {
    add("cores", [&]() -> PreflightCheck {
      const std::int64_t ranks = serving_group(scenario).ranks_per_replica();
      const std::string text = fmt::format("{} for {}", plural(cores, "core"), plural(ranks, "rank"));
      if (ranks <= cores) return {"cores", CheckState::kOk, text};
      return {"cores", CheckState::kWarning, text + ": ranks would take turns on them; plan fewer"};
    });
  }
  add("other work", [&] { return check_load(read_file("/proc/loadavg"), cores); });
  if (!request.profile.empty()) {
    add("profile", [&]() -> PreflightCheck {
      const Profile profile = profile_from_json(read_file(request.profile), request.profile);
      const std::string text = fmt::format("of {}, {}", profile.device, profile.date);
      if (!place || profile.device == place->device->name) return {"profile", CheckState::kOk, text};
      return {"profile", CheckState::kFailed,
              fmt::format("{}: it is of {}, and the scenario runs on {}", request.profile, profile.device, place->device->name)};
    });
  }
  if (!options.no_db) {
    add("store", [&]() -> PreflightCheck {
      static_cast<void>(open_store(options));
      return {"store", CheckState::kOk, (options.db.empty() ? default_db_path() : options.db).string() + " can be written"};
    });
  }
  return checks;
}

}  // namespace lindos::cli
