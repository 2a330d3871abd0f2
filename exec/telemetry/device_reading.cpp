// SPDX-License-Identifier: Apache-2.0
#include "exec/telemetry/device_reading.h"

namespace lindos::exec {

DeviceReading unavailable_reading(const std::string& reason) {
  DeviceReading reading;
  for (const char* field : {"power", "energy", "sm_clock", "memory_clock", "temperature_c", "memory_used",
                            "utilisation", "enforced_power_limit", "clock_reasons", "ecc_uncorrected"}) {
    reading.unavailable[field] = reason;
  }
  return reading;
}

}  // namespace lindos::exec
