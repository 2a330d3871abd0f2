// SPDX-License-Identifier: Apache-2.0
// The NVIDIA GPUs that this process can use. Compiled with and without CUDA: without, the answer is why there is none.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "exec/runner/dynamic_library.h"
#include "scenarios/hardware.h"
#include "scenarios/units.h"

namespace lindos::exec::cuda {

struct DeviceInfo {
  int ordinal = 0;
  std::string name;                 // "NVIDIA H200"
  std::string pci_bus_id;           // "00000000:1B:00.0"
  int compute_capability = 0;       // 90
  int multiprocessors = 0;
  Bytes memory{0};                  // of the device
  Bytes free_memory{0};             // now
  std::string driver;               // CUDA version of the driver, "13.0"
  std::string runtime;              // of this build
};

// Devices, or the reason why there is none: a build without CUDA, no driver, a driver older than the build, no device
// of sm_80 or later.
[[nodiscard]] std::variant<std::vector<DeviceInfo>, Unavailable> devices();
// The first of them. Throws Error{kEnvironment} with the reason.
[[nodiscard]] DeviceInfo device_or_throw();

// Several processes on one host, a GPU each: this one sees only the GPU of its place among them (as Open MPI, Slurm or
// torchrun say it). Before anything of CUDA runs. A process that sees one GPU already keeps it.
void take_own_device();
// The NCCL here lets ranks share a GPU (2.30 and later).
[[nodiscard]] bool ranks_may_share_a_gpu();

// Name → version of what the engine runs on, for records: CUDA of driver and build, and cuBLASLt where there is one.
[[nodiscard]] std::map<std::string, std::string> libraries_of(const DeviceInfo& gpu);

// The same kind of GPU: compute capability, the model's name, and memory within a tenth ("NVIDIA H200" and the
// catalogue's "NVIDIA H200 SXM5 141 GB").
[[nodiscard]] bool is_kind_of(const DeviceInfo& gpu, const Device& device);

}  // namespace lindos::exec::cuda
