// SPDX-License-Identifier: Apache-2.0
#include "exec/telemetry/clock_reasons.h"

namespace lindos::exec {

std::string_view name_of(ClockReason reason) {
  switch (reason) {
    case ClockReason::kGpuIdle:
      return "gpu_idle";
    case ClockReason::kApplicationsClocksSetting:
      return "applications_clocks_setting";
    case ClockReason::kSwPowerCap:
      return "sw_power_cap";
    case ClockReason::kHwSlowdown:
      return "hw_slowdown";
    case ClockReason::kSyncBoost:
      return "sync_boost";
    case ClockReason::kSwThermalSlowdown:
      return "sw_thermal_slowdown";
    case ClockReason::kHwThermalSlowdown:
      return "hw_thermal_slowdown";
    case ClockReason::kHwPowerBrakeSlowdown:
      return "hw_power_brake_slowdown";
    case ClockReason::kDisplayClockSetting:
      return "display_clock_setting";
  }
  return "";
}

std::string_view name_of(ClockLoss loss) {
  switch (loss) {
    case ClockLoss::kPowerCap:
      return "power_cap";
    case ClockLoss::kThermal:
      return "thermal";
    case ClockLoss::kUnknownSlowdown:
      return "unknown_slowdown";
  }
  return "";
}

std::optional<ClockLoss> loss_of(ClockReasons reasons) {
  if (reasons.has(ClockReason::kSwThermalSlowdown) || reasons.has(ClockReason::kHwThermalSlowdown)) {
    return ClockLoss::kThermal;
  }
  if (reasons.has(ClockReason::kSwPowerCap) || reasons.has(ClockReason::kHwPowerBrakeSlowdown)) {
    return ClockLoss::kPowerCap;
  }
  if (reasons.has(ClockReason::kHwSlowdown)) return ClockLoss::kUnknownSlowdown;
  return std::nullopt;
}

std::optional<Cause> cause_of(ClockLoss loss) {
  switch (loss) {
    case ClockLoss::kPowerCap:
      return Cause::kPowerCap;
    case ClockLoss::kThermal:
      return Cause::kThermal;
    case ClockLoss::kUnknownSlowdown:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace lindos::exec
