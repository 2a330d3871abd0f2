// SPDX-License-Identifier: Apache-2.0
// `lindos probe` of an NVIDIA GPU: what the engine's own kernels reach on it, at the shapes of a model's shards and
// through the path that the engine takes (few rows: the fused product; more: cuBLASLt as tuned). Whole steps of a few
// layers tell what kernels cost each other in place. Never measures a serving run. docs/engine.md, "The twin on a GPU".
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "exec/cuda/device_info.h"
#include "scenarios/hardware.h"
#include "scenarios/model.h"
#include "scenarios/plan.h"
#include "scenarios/profile.h"

namespace lindos::exec {

struct CudaProbeRequest {
  cuda::DeviceInfo gpu;
  Device device;  // of the catalogue: name, and the dense peak that MFU refers to
  Model model;
  std::vector<GroupPlan> groups;                                           // their shards give shapes
  Dtype dtype = Dtype::kBf16;  // of activations, bf16 or f16; cuda_probe() takes that of the groups
  int multiprocessors = 0;  // of a part of the device, on which all is timed; 0: the whole device
  std::function<void(const std::string& what, double fraction)> progress;  // may be empty
  std::function<bool()> cancelled;                                         // may be empty
};

// matrix_rate is the device's dense peak in bf16 (or f16, for such groups) by its datasheet; the rate of an 8192-wide product is among the samples.
// On a part of the device the peak is the part's share, and power is left out: the device has one meter. memory is what was free. Where NVML tells it, also board power: idle, at both ceilings and in steps (10 s). About
// 20 s in all. Throws Error{kEnvironment} without CUDA or when the device fails, Error{kInput} for a model that the
// CUDA engine cannot run and for groups in several 16-bit formats, Error{kCancelled}.
[[nodiscard]] Profile cuda_probe(const CudaProbeRequest& request);

// Read bandwidth, and peak as above (1 s); no samples. Needs neither model nor groups.
[[nodiscard]] Profile cuda_ceilings(const CudaProbeRequest& request);

}  // namespace lindos::exec
