// SPDX-License-Identifier: Apache-2.0
// NVIDIA's management library, loaded at run time: one binary runs with and without it. A machine without it, a
// device it does not know and a call it does not support are answers with a reason, not errors and not zeros.
// Safe to use from several threads, as NVML is; a device keeps its library loaded.
//
//   auto nvml = Nvml::load();                                  // variant of shared_ptr and Unavailable
//   auto device = NvmlDevice::find(std::get<0>(nvml), "0000:19:00.0");
//   DeviceReading now = std::get<0>(device).read();
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "exec/runner/dynamic_library.h"
#include "exec/telemetry/device_reading.h"
#include "exec/telemetry/nvml_api.h"

namespace lindos::exec {

class Nvml {
 public:
  // `names` as for DynamicLibrary::open. Unavailable: no library, no driver, or one too old to find devices.
  [[nodiscard]] static std::variant<std::shared_ptr<const Nvml>, Unavailable> load(
      const std::vector<std::string>& names = {"libnvidia-ml.so.1"});
  ~Nvml();
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  // "580.95.05" and "13.580.95.05".
  [[nodiscard]] std::variant<std::string, Unavailable> driver_version() const;
  [[nodiscard]] std::variant<std::string, Unavailable> library_version() const;

 private:
  friend class NvmlDevice;
  explicit Nvml(DynamicLibrary library);
  [[nodiscard]] std::string text_of(nvml::Return status) const;
  [[nodiscard]] std::variant<std::string, Unavailable> system_text(const char* function) const;

  DynamicLibrary library_;
  bool initialised_ = false;
};

class NvmlDevice {
 public:
  // By PCI bus id as cudaDeviceGetPCIBusId gives it, "0000:19:00.0": NVML's own index ignores the order and the
  // subset of devices that CUDA shows a process.
  [[nodiscard]] static std::variant<NvmlDevice, Unavailable> find(std::shared_ptr<const Nvml> nvml,
                                                                  const std::string& pci_bus_id);

  [[nodiscard]] std::variant<std::string, Unavailable> name() const;   // "NVIDIA H200"
  // Takes a few calls of some microseconds each. Does not throw but for lack of memory.
  [[nodiscard]] DeviceReading read() const;

 private:
  // Functions that this library has; nullptr for the others.
  struct Functions {
    nvml::DeviceText* name = nullptr;
    nvml::DeviceUnsigned* power = nullptr;
    nvml::DeviceUnsigned* power_limit = nullptr;
    nvml::DeviceLong* energy = nullptr;
    nvml::DeviceUnsignedOf* clock = nullptr;
    nvml::DeviceUnsignedOf* temperature = nullptr;
    nvml::DeviceMemory* memory = nullptr;
    nvml::DeviceUtilization* utilisation = nullptr;
    nvml::DeviceLong* clock_reasons = nullptr;
    nvml::DeviceEcc* ecc = nullptr;
    nvml::DeviceFields* fields = nullptr;
  };
  NvmlDevice(std::shared_ptr<const Nvml> nvml, nvml::DeviceHandle* handle);
  // Power of this moment; none where the driver has only averages.
  [[nodiscard]] std::optional<Watts> instant_power() const;

  std::shared_ptr<const Nvml> nvml_;
  nvml::DeviceHandle* handle_;
  Functions functions_;
};

}  // namespace lindos::exec
