// SPDX-License-Identifier: Apache-2.0
// Why a GPU's clocks are below their maximum, as NVML reports it, and what of it is a loss.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "scenarios/ledger.h"

namespace lindos::exec {

// Bits of nvmlDeviceGetCurrentClocksEventReasons (before driver 535: …ThrottleReasons, same bits).
enum class ClockReason : std::uint64_t {
  kGpuIdle = 0x1,
  kApplicationsClocksSetting = 0x2,
  kSwPowerCap = 0x4,
  kHwSlowdown = 0x8,
  kSyncBoost = 0x10,
  kSwThermalSlowdown = 0x20,
  kHwThermalSlowdown = 0x40,
  kHwPowerBrakeSlowdown = 0x80,
  kDisplayClockSetting = 0x100,
};
inline constexpr std::array<ClockReason, 9> kClockReasons = {
    ClockReason::kGpuIdle,           ClockReason::kApplicationsClocksSetting, ClockReason::kSwPowerCap,
    ClockReason::kHwSlowdown,        ClockReason::kSyncBoost,                 ClockReason::kSwThermalSlowdown,
    ClockReason::kHwThermalSlowdown, ClockReason::kHwPowerBrakeSlowdown,      ClockReason::kDisplayClockSetting,
};
// NVML's names: "sw_power_cap", "hw_thermal_slowdown", …
[[nodiscard]] std::string_view name_of(ClockReason reason);

// The reasons at work at one instant; bits that this version does not know are kept.
struct ClockReasons {
  std::uint64_t bits = 0;
  [[nodiscard]] bool has(ClockReason reason) const { return (bits & static_cast<std::uint64_t>(reason)) != 0; }
  bool operator==(const ClockReasons&) const = default;
};

// Lost clocks by what took them. Idle clocks and settings (application, sync boost, display) are no loss.
enum class ClockLoss { kPowerCap, kThermal, kUnknownSlowdown };
// "power_cap", "thermal", "unknown_slowdown".
[[nodiscard]] std::string_view name_of(ClockLoss loss);

// Power cap: software cap, power brake. Thermal: software or hardware thermal slowdown; it goes before a power
// cap, which a device at full load often reports anyway. A hardware slowdown that names neither: unknown.
[[nodiscard]] std::optional<ClockLoss> loss_of(ClockReasons reasons);
// The ledger's cause; none for an unknown slowdown, which the ledger must not guess.
[[nodiscard]] std::optional<Cause> cause_of(ClockLoss loss);

}  // namespace lindos::exec
