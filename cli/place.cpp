// SPDX-License-Identifier: Apache-2.0
#include "cli/place.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "scenarios/error.h"

namespace lindos::cli {

namespace {

constexpr double kMemoryTolerance = 0.1;   // drivers keep some, vendors round

// Words of letters and digits: "NVIDIA A100-SXM4-80GB" has four.
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : text) {
    if (c != ' ' && c != '-' && c != ',') {
      word += c;
      continue;
    }
    if (!word.empty()) words.push_back(std::exchange(word, {}));
  }
  if (!word.empty()) words.push_back(word);
  return words;
}

bool has_digit(const std::string& word) { return word.find_first_of("0123456789") != std::string::npos; }

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

bool is_kind_of(const exec::cuda::DeviceInfo& gpu, const Device& device) {
  if (gpu.compute_capability != device.compute_capability) return false;
  const std::vector<std::string> label = words_of(device.label);
  const auto model = std::find_if(label.begin(), label.end(), has_digit);
  const std::vector<std::string> name = words_of(gpu.name);
  if (model == label.end() || std::find(name.begin(), name.end(), *model) == name.end()) return false;
  return std::abs(gpu.memory / device.memory - 1.0) <= kMemoryTolerance;
}

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
    if (choice == DeviceChoice::kCpu) refuse(scenario, pool, device.label, "--device cpu takes this machine's CPU only");
    if (place.gpu) continue;
    const auto found = find();
    if (const auto* none = std::get_if<exec::Unavailable>(&found)) refuse(scenario, pool, device.label, "no GPU is usable here: " + none->reason);
    const auto& gpus = std::get<std::vector<exec::cuda::DeviceInfo>>(found);
    const exec::cuda::DeviceInfo& first = gpus.front();
    if (choice == DeviceChoice::kAuto && !is_kind_of(first, device)) {
      const auto other = std::find_if(gpus.begin(), gpus.end(), [&](const auto& gpu) { return is_kind_of(gpu, device); });
      const std::string way_out =
          other == gpus.end() ? "--device cuda runs the scenario on it all the same"
                              : fmt::format("device {} is one: choose it by CUDA_VISIBLE_DEVICES={}", other->ordinal, other->ordinal);
      refuse(scenario, pool, device.label, fmt::format("the GPU here is {}; {}", named(first), way_out));
    }
    place.gpu = first;
  }
  if (place.device == nullptr) throw Error(ErrorKind::kInput, scenario.name, "the cluster has no pools");
  return place;
}

}  // namespace lindos::cli
