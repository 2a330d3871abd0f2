// SPDX-License-Identifier: Apache-2.0
#include "sim/datasheet.h"

#include <array>

#include "scenarios/error.h"

namespace lindos::sim {

namespace {

// CPU terms of a serving step, from BLIS' fit of vLLM on Hopper (handbook §7.5): 126 us per step
// and 4.4 us per sequence. A prior until an engine is probed on the device.
constexpr Seconds kStepOverhead{126e-6};
constexpr Seconds kPerSequenceOverhead{4.4e-6};
constexpr std::array kMatrixFormats{Dtype::kF32,  Dtype::kF16, Dtype::kBf16,
                                   Dtype::kFp8, Dtype::kFp4, Dtype::kInt8};
constexpr double kStepOverheadSpread = 0.3;  // assume: between engines and hosts

FlopPerSecond peak_of(const Device& device, Dtype dtype) {
  if (const auto exact = device.peak.find(dtype); exact != device.peak.end()) return exact->second;
  // A format the units lack is computed in the next wider one they have.
  for (const Dtype wider : {Dtype::kFp8, Dtype::kBf16, Dtype::kF16, Dtype::kF32}) {
    const auto found = device.peak.find(wider);
    if (bytes_of(wider) >= bytes_of(dtype) && found != device.peak.end()) return found->second;
  }
  if (device.peak.empty()) {
    throw Error(ErrorKind::kInput, device.name,
                "the device states no peak FLOP/s, so nothing can be predicted on it");
  }
  return device.peak.begin()->second;
}

}  // namespace

Profile datasheet_profile(const Device& device, Dtype dtype) {
  if (device.memory_bandwidth.value() <= 0.0) {
    throw Error(ErrorKind::kInput, device.name,
                "the device states no memory bandwidth, so nothing can be predicted on it");
  }
  Profile profile;
  profile.device = device.name;
  profile.label = device.label;
  profile.source = "modelled from the datasheet";
  profile.memory = device.memory;
  profile.compute_capability = device.compute_capability;
  profile.matrix_rate = peak_of(device, dtype);
  for (const Dtype format : kMatrixFormats) profile.matrix_rates[format] = peak_of(device, format);
  profile.read_bandwidth = device.memory_bandwidth;
  profile.read_bandwidth_by_threads = {device.memory_bandwidth};
  profile.step_overhead = kStepOverhead;
  profile.step_overhead_spread = kStepOverheadSpread;
  profile.per_sequence_overhead = kPerSequenceOverhead;
  return profile;
}

}  // namespace lindos::sim
