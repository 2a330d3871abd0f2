// SPDX-License-Identifier: Apache-2.0
// The GPUs of a run: what they are, how to read them, and how what they used enters the run's record.
//
//   const DeviceTelemetry telemetry = telemetry_of({{"0000:19:00.0", "NVIDIA H200"}}, {{"cuda", "13.0"}});
//   DeviceWatch watch(telemetry);
//   watch.start();  EngineRun run = replica.run(…);  std::vector<DeviceSummary> use = watch.stop();
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "exec/runner/replica.h"
#include "exec/telemetry/device_sampler.h"
#include "exec/telemetry/device_statistics.h"
#include "scenarios/run_record.h"

namespace lindos::exec {

// A device as the CUDA runtime names it.
struct CudaDeviceName {
  std::string pci_bus_id;   // "0000:19:00.0"
  std::string name;         // "NVIDIA H200"
};

struct DeviceTelemetry {
  std::string hardware;                           // "1 × NVIDIA H200"; kinds in order of their first device
  std::string driver;                             // "580.95.05", or why it is not known
  std::map<std::string, std::string> libraries;   // name → version: the caller's, and "nvml" where there is one
  std::vector<DeviceSampler::Read> devices;       // one per GPU; may be called from any thread
};

// Without NVML, or for a device it does not know, readings hold the reason and no value.
// Ranks that share a device: it is taken once. `nvml` as for Nvml::load. REQUIRES: at least one device.
[[nodiscard]] DeviceTelemetry telemetry_of(const std::vector<CudaDeviceName>& devices,
                                           std::map<std::string, std::string> libraries,
                                           const std::vector<std::string>& nvml = {"libnvidia-ml.so.1"});

// One sampler per device, started and stopped together.
class DeviceWatch {
 public:
  // `period` as for DeviceSampler.
  explicit DeviceWatch(const DeviceTelemetry& telemetry, Seconds period = Seconds{0.05});
  void start();                                         // REQUIRES: not running
  [[nodiscard]] std::vector<DeviceSummary> stop();      // REQUIRES: running. In the order of the devices

 private:
  std::vector<std::unique_ptr<DeviceSampler>> samplers_;
};

// Adds power_w and energy_per_token_j over `runs`, and names hardware, driver and libraries in the environment.
// `uses` holds the devices' summaries of each run. A metric whose power one device does not give is left out, and
// so is energy per token when a run has no output. REQUIRES: as many uses as runs, at least one.
void record_devices(RunRecord& record, const DeviceTelemetry& telemetry, const std::vector<EngineRun>& runs,
                    const std::vector<std::vector<DeviceSummary>>& uses);

// One line for people: "612 W (energy counter), SM 1980 MHz (min 1755), 71 °C, power_cap in 83 % of samples"; what
// is not available is said with its reason. Of several devices: the sum of power, the worst of the others.
// REQUIRES: at least one summary.
[[nodiscard]] std::string describe(const std::vector<DeviceSummary>& devices);

}  // namespace lindos::exec
