// SPDX-License-Identifier: Apache-2.0
// On what a scenario runs here: this machine's CPU, or its GPU when the scenario is about that kind of GPU.
#pragma once

#include <functional>
#include <optional>
#include <variant>
#include <vector>

#include "exec/cuda/device_info.h"
#include "exec/runner/dynamic_library.h"
#include "exec/runner/rank_worker.h"
#include "scenarios/hardware.h"
#include "scenarios/scenario.h"

namespace lindos::cli {

// --device. Auto: the GPU when the scenario's device has a compute capability, else the CPU.
enum class DeviceChoice { kAuto, kCpu, kCuda };

struct Place {
  const Device* device = nullptr;             // of the scenario, which must outlive it; names the profile
  std::optional<exec::cuda::DeviceInfo> gpu;  // nothing: this machine's CPU
  std::vector<int> multiprocessors = {};      // of the GPU: of each rank, or of the probe; empty: all
  bool gpu_per_rank = false;                  // ranks are processes with a GPU each, not threads that share one
  [[nodiscard]] exec::Backend backend() const { return gpu ? exec::Backend::kCuda : exec::Backend::kCpu; }
};

using FindGpus = std::function<std::variant<std::vector<exec::cuda::DeviceInfo>, exec::Unavailable>()>;

// Throws Error{kInfeasible} naming what is missing here unless all pools hold one device that this machine has. The
// engine takes the first GPU; one of another kind than the scenario's only when `choice` asks for CUDA.
[[nodiscard]] Place place_of(const Scenario& scenario, DeviceChoice choice, const FindGpus& find = exec::cuda::devices);

// The device of the scenario that is this machine's CPU, if there is one.
[[nodiscard]] const Device* host_device(const Scenario& scenario);

}  // namespace lindos::cli
