// SPDX-License-Identifier: Apache-2.0
// The part of NVML's C interface that we call, declared here because its header is in none of the toolkit
// packages. Names are NVML's; layout and numbers are its ABI and never change within libnvidia-ml.so.1.
#pragma once

#include <cstdint>

namespace lindos::exec::nvml {

using Return = int;                              // nvmlReturn_t
inline constexpr Return kSuccess = 0;

struct DeviceHandle;                             // *nvmlDevice_t
inline constexpr unsigned kClockSm = 1;          // NVML_CLOCK_SM
inline constexpr unsigned kClockMemory = 2;      // NVML_CLOCK_MEM
inline constexpr unsigned kTemperatureGpu = 0;   // NVML_TEMPERATURE_GPU
inline constexpr unsigned kEccUncorrected = 1;   // NVML_MEMORY_ERROR_TYPE_UNCORRECTED
inline constexpr unsigned kEccVolatile = 0;      // NVML_VOLATILE_ECC: since the driver was loaded
inline constexpr unsigned kFieldPowerInstant = 186;  // NVML_FI_DEV_POWER_INSTANT, mW
inline constexpr unsigned kTextSize = 96;        // the largest of NVML's buffer sizes for names and versions

struct Memory {                                  // nvmlMemory_t, bytes
  unsigned long long total, free, used;
};
struct Utilization {                             // nvmlUtilization_t, per cent
  unsigned gpu, memory;
};
enum class ValueType : unsigned {                // nvmlValueType_t
  kDouble,
  kUnsignedInt,
  kUnsignedLong,
  kUnsignedLongLong,
  kSignedLongLong,
  kSignedInt,
  kUnsignedShort,
};
union Value {                                    // nvmlValue_t
  double as_double;
  unsigned as_unsigned;
  unsigned long as_unsigned_long;
  unsigned long long as_unsigned_long_long;
  long long as_long_long;
  int as_int;
  unsigned short as_unsigned_short;
};
struct FieldValue {                              // nvmlFieldValue_t
  unsigned field;
  unsigned scope;                                // 0: the GPU
  long long timestamp_us;
  long long latency_us;
  ValueType type;
  Return status;
  Value value;
};
static_assert(sizeof(FieldValue) == 40, "NVML's ABI");

using Init = Return();                                                          // nvmlInit_v2
using Shutdown = Return();                                                      // nvmlShutdown
using ErrorString = const char*(Return);                                        // nvmlErrorString
using SystemText = Return(char*, unsigned);                                     // nvmlSystemGet{Driver,NVML}Version
using HandleByPciBusId = Return(const char*, DeviceHandle**);                   // nvmlDeviceGetHandleByPciBusId_v2
using DeviceText = Return(DeviceHandle*, char*, unsigned);                      // nvmlDeviceGetName
using DeviceUnsigned = Return(DeviceHandle*, unsigned*);                        // power, enforced limit
using DeviceUnsignedOf = Return(DeviceHandle*, unsigned, unsigned*);            // clock, temperature
using DeviceLong = Return(DeviceHandle*, unsigned long long*);                  // energy, clock reasons
using DeviceMemory = Return(DeviceHandle*, Memory*);                            // nvmlDeviceGetMemoryInfo
using DeviceUtilization = Return(DeviceHandle*, Utilization*);                  // nvmlDeviceGetUtilizationRates
using DeviceEcc = Return(DeviceHandle*, unsigned, unsigned, unsigned long long*);   // nvmlDeviceGetTotalEccErrors
using DeviceFields = Return(DeviceHandle*, int, FieldValue*);                   // nvmlDeviceGetFieldValues

}  // namespace lindos::exec::nvml
