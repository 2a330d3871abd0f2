// SPDX-License-Identifier: Apache-2.0
#include "cli/place.h"

#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "scenarios/error.h"

namespace lindos::cli {

namespace {

std::string named(const exec::cuda::DeviceInfo& gpu) {
  return fmt::format("{} (sm_{}, {:.1f} GB)", gpu.name, gpu.compute_capability, gpu.memory.value() / 1e9);
}

[[noreturn]] void refuse(const Scenario& scenario, const Pool& pool, const std::string& label, const std::string& why) {
  throw Error(ErrorKind::kInfeasible, scenario.name,
              fmt::format("pool \"{}\" needs {}, and {}. `lindos predict` answers for it; "
                          "scenarios/this-machine.toml runs on this machine's CPU",
                          pool.name, label, why));
}

}  // namespace

const Device* host_device(const Scenario& scenario) {
  for (const auto& [name, device] : scenario.devices) {
    if (device.compute_capability == 0 && device.peak.empty()) return &device;
  }
  return nullptr;
}

Place place_of(const Scenario& scenario, DeviceChoice choice, const FindGpus& find) {
  const Device* host = host_device(scenario);
  Place place;
  for (const Pool& pool : scenario.cluster.pools) {
    const Device& device = scenario.devices.at(pool.node.device);
    if (place.device == nullptr) place.device = &device;
    if (&device != place.device) {
      refuse(scenario, pool, device.label, "one run takes devices of one kind, here " + place.device->label);
    }
    if (&device == host) {
      if (choice != DeviceChoice::kCuda) continue;
      throw Error(ErrorKind::kUsage, "--device",
                  fmt::format("cuda needs a scenario of an NVIDIA GPU; pool \"{}\" of \"{}\" is this machine's CPU. "
                              "scenarios/one-h200-llama8b.toml is one",
                              pool.name, scenario.name));
    }
    if (device.compute_capability == 0) refuse(scenario, pool, device.label, "this machine has none");
    if (choice == DeviceChoice::kCpu)
      refuse(scenario, pool, device.label, "--device cpu takes this machine's CPU only");
    if (place.gpu) continue;
    const auto found = find();
    if (const auto* none = std::get_if<exec::Unavailable>(&found))
      refuse(scenario, pool, device.label, "no GPU is usable here: " + none->reason);
    const auto& gpus = std::get<std::vector<exec::cuda::DeviceInfo>>(found);
    const exec::cuda::DeviceInfo& first = gpus.front();
    if (choice == DeviceChoice::kAuto && !exec::cuda::is_kind_of(first, device)) {
      const auto other =
          std::find_if(gpus.begin(), gpus.end(), [&](const auto& gpu) { return exec::cuda::is_kind_of(gpu, device); });
      const std::string way_out =
          other == gpus.end()
              ? "--device cuda runs the scenario on it all the same"
              : fmt::format("device {} is one: choose it by CUDA_VISIBLE_DEVICES={}", other->ordinal, other->ordinal);
      refuse(scenario, pool, device.label, fmt::format("the GPU here is {}; {}", named(first), way_out));
    }
    place.gpu = first;
  }
  if (place.device == nullptr) throw Error(ErrorKind::kInput, scenario.name, "the cluster has no pools");
  return place;
}

}  // namespace lindos::cli
