// SPDX-License-Identifier: Apache-2.0
// State of the fake libnvidia-ml that the tests load: one device at 0000:19:00.0. Each call answers `status`
// (0: success) or its own override. Two builds: a current driver, and an old one without event reasons, field
// values and ECC.
#pragma once

#include <map>
#include <string>

#include "exec/telemetry/nvml_api.h"

namespace lindos::exec::fake {

inline constexpr const char* kBusId = "0000:19:00.0";

struct NvmlState {
  nvml::Return init_status = 0;
  std::map<std::string, nvml::Return> failing;   // function → status
  int initialised = 0;                           // calls of init less calls of shutdown
  nvml::FieldValue instant_power{};              // type, status and value are copied to the answer
  unsigned average_power_mw = 650'250;
  unsigned long long energy_mj = 12'345'678'901ULL;
  unsigned sm_mhz = 1'980;
  unsigned memory_mhz = 3'201;
  unsigned temperature = 61;
  unsigned long long memory_used = 120ULL << 30;
  unsigned utilisation = 97;
  unsigned power_limit_mw = 700'000;
  unsigned long long reasons = 0x4;
  unsigned long long ecc = 0;
};

using StateFunction = NvmlState*();   // exported as fake_nvml_state

}  // namespace lindos::exec::fake
