// SPDX-License-Identifier: Apache-2.0
#include "tests/exec/telemetry/fake_nvml.h"

#include <cstdio>
#include <cstring>

namespace {

namespace nvml = lindos::exec::nvml;
using lindos::exec::fake::NvmlState;

constexpr nvml::Return kInvalidArgument = 2;
constexpr nvml::Return kNotSupported = 3;
constexpr nvml::Return kNotFound = 6;
constexpr nvml::Return kInsufficientSize = 7;

NvmlState state;
char device;

nvml::Return status_of(const char* function, const nvml::DeviceHandle* handle) {
  if (handle != reinterpret_cast<nvml::DeviceHandle*>(&device)) return kInvalidArgument;
  const auto found = state.failing.find(function);
  return found != state.failing.end() ? found->second : nvml::kSuccess;
}

nvml::Return copy(const char* text, char* out, unsigned size) {
  if (std::strlen(text) + 1 > size) return kInsufficientSize;
  std::snprintf(out, size, "%s", text);
  return nvml::kSuccess;
}

}  // namespace

extern "C" {

NvmlState* fake_nvml_state() { return &state; }

nvml::Return nvmlInit_v2() {
  if (state.init_status == nvml::kSuccess) ++state.initialised;
  return state.init_status;
}
nvml::Return nvmlShutdown() {
  --state.initialised;
  return nvml::kSuccess;
}
const char* nvmlErrorString(nvml::Return status) {
  switch (status) {
    case kNotSupported:
      return "Not Supported";
    case kNotFound:
      return "Not Found";
    case 9:
      return "Driver Not Loaded";
    case 15:
      return "GPU is lost";
    default:
      return "Unknown Error";
  }
}
nvml::Return nvmlSystemGetDriverVersion(char* out, unsigned size) { return copy("580.95.05", out, size); }
nvml::Return nvmlSystemGetNVMLVersion(char* out, unsigned size) { return copy("13.580.95.05", out, size); }
nvml::Return nvmlDeviceGetHandleByPciBusId_v2(const char* bus_id, nvml::DeviceHandle** out) {
  if (std::strcmp(bus_id, lindos::exec::fake::kBusId) != 0) return kNotFound;
  *out = reinterpret_cast<nvml::DeviceHandle*>(&device);
  return nvml::kSuccess;
}
nvml::Return nvmlDeviceGetName(nvml::DeviceHandle* handle, char* out, unsigned size) {
  const nvml::Return status = status_of("nvmlDeviceGetName", handle);
  return status == nvml::kSuccess ? copy("NVIDIA H200", out, size) : status;
}
nvml::Return nvmlDeviceGetPowerUsage(nvml::DeviceHandle* handle, unsigned* out) {
  *out = state.average_power_mw;
  return status_of("nvmlDeviceGetPowerUsage", handle);
}
nvml::Return nvmlDeviceGetEnforcedPowerLimit(nvml::DeviceHandle* handle, unsigned* out) {
  *out = state.power_limit_mw;
  return status_of("nvmlDeviceGetEnforcedPowerLimit", handle);
}
nvml::Return nvmlDeviceGetTotalEnergyConsumption(nvml::DeviceHandle* handle, unsigned long long* out) {
  *out = state.energy_mj;
  return status_of("nvmlDeviceGetTotalEnergyConsumption", handle);
}
nvml::Return nvmlDeviceGetClockInfo(nvml::DeviceHandle* handle, unsigned domain, unsigned* out) {
  if (domain != 1 && domain != 2) return kInvalidArgument;
  *out = domain == 1 ? state.sm_mhz : state.memory_mhz;
  return status_of("nvmlDeviceGetClockInfo", handle);
}
nvml::Return nvmlDeviceGetTemperature(nvml::DeviceHandle* handle, unsigned sensor, unsigned* out) {
  if (sensor != 0) return kInvalidArgument;
  *out = state.temperature;
  return status_of("nvmlDeviceGetTemperature", handle);
}
nvml::Return nvmlDeviceGetMemoryInfo(nvml::DeviceHandle* handle, nvml::Memory* out) {
  *out = {141ULL << 30, (141ULL << 30) - state.memory_used, state.memory_used};
  return status_of("nvmlDeviceGetMemoryInfo", handle);
}
nvml::Return nvmlDeviceGetUtilizationRates(nvml::DeviceHandle* handle, nvml::Utilization* out) {
  *out = {state.utilisation, 55};
  return status_of("nvmlDeviceGetUtilizationRates", handle);
}

nvml::Return nvmlDeviceGetCurrentClocksThrottleReasons(nvml::DeviceHandle* handle, unsigned long long* out) {
  *out = state.reasons;
  return status_of("nvmlDeviceGetCurrentClocksThrottleReasons", handle);
}
#ifndef LINDOS_FAKE_OLD_DRIVER
nvml::Return nvmlDeviceGetCurrentClocksEventReasons(nvml::DeviceHandle* handle, unsigned long long* out) {
  *out = state.reasons;
  return status_of("nvmlDeviceGetCurrentClocksEventReasons", handle);
}
nvml::Return nvmlDeviceGetTotalEccErrors(nvml::DeviceHandle* handle, unsigned error, unsigned counter,
                                         unsigned long long* out) {
  if (error != 1 || counter != 0) return kInvalidArgument;
  *out = state.ecc;
  return status_of("nvmlDeviceGetTotalEccErrors", handle);
}
nvml::Return nvmlDeviceGetFieldValues(nvml::DeviceHandle* handle, int count, nvml::FieldValue* fields) {
  for (int i = 0; i < count; ++i) {
    fields[i].type = state.instant_power.type;
    fields[i].value = state.instant_power.value;
    fields[i].status = fields[i].field == 186 && fields[i].scope == 0 ? state.instant_power.status : kInvalidArgument;
  }
  return status_of("nvmlDeviceGetFieldValues", handle);
}
#endif

}  // extern "C"
