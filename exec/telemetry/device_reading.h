// SPDX-License-Identifier: Apache-2.0
// What one GPU says of itself at one instant. A value that the device or driver does not offer is absent, and
// `unavailable` holds the reason under the field's name: never a zero.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "exec/telemetry/clock_reasons.h"
#include "scenarios/units.h"

namespace lindos::exec {

// Field → why it is absent. Keys are the names of the fields of DeviceReading or DeviceSummary.
using Absences = std::map<std::string, std::string>;

struct DeviceReading {
  std::optional<Watts> power;                // now where the driver says it, else its average (1 s on Ampere and newer)
  std::optional<Joules> energy;              // since the driver was loaded; steps of about 100 ms
  std::optional<Hertz> sm_clock;
  std::optional<Hertz> memory_clock;
  std::optional<double> temperature_c;
  std::optional<Bytes> memory_used;          // by all processes and the driver
  std::optional<double> utilisation;         // 0…1: share of the driver's last period in which any kernel ran
  std::optional<Watts> enforced_power_limit;
  std::optional<ClockReasons> clock_reasons;
  std::optional<std::uint64_t> ecc_uncorrected;   // errors since the driver was loaded
  Absences unavailable;
  bool operator==(const DeviceReading&) const = default;
};

// A reading without any value, for one and the same reason.
[[nodiscard]] DeviceReading unavailable_reading(const std::string& reason);

}  // namespace lindos::exec
