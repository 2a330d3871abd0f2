// SPDX-License-Identifier: Apache-2.0
#include "exec/telemetry/nvml.h"

#include <array>
#include <utility>

namespace lindos::exec {

namespace {

// A field carries its own type, which has changed between drivers.
std::optional<double> number_of(const nvml::FieldValue& field) {
  switch (field.type) {
    case nvml::ValueType::kDouble:
      return field.value.as_double;
    case nvml::ValueType::kUnsignedInt:
      return static_cast<double>(field.value.as_unsigned);
    case nvml::ValueType::kUnsignedLong:
      return static_cast<double>(field.value.as_unsigned_long);
    case nvml::ValueType::kUnsignedLongLong:
      return static_cast<double>(field.value.as_unsigned_long_long);
    case nvml::ValueType::kSignedLongLong:
      return static_cast<double>(field.value.as_long_long);
    case nvml::ValueType::kSignedInt:
      return static_cast<double>(field.value.as_int);
    case nvml::ValueType::kUnsignedShort:
      return static_cast<double>(field.value.as_unsigned_short);
  }
  return std::nullopt;
}

constexpr double kPerMilli = 1e-3;
constexpr double kPerMega = 1e6;
constexpr const char* kLacking = "this driver's NVML lacks the call";

}  // namespace

Nvml::Nvml(DynamicLibrary library) : library_(std::move(library)) {}

Nvml::~Nvml() {
  if (!initialised_) return;
  if (auto* shutdown = library_.symbol<nvml::Shutdown>("nvmlShutdown")) (void)shutdown();
}

std::variant<std::shared_ptr<const Nvml>, Unavailable> Nvml::load(const std::vector<std::string>& names) {
  auto opened = DynamicLibrary::open(names);
  if (auto* absent = std::get_if<Unavailable>(&opened)) return std::move(*absent);
  const std::shared_ptr<Nvml> nvml(new Nvml(std::get<DynamicLibrary>(std::move(opened))));
  auto* init = nvml->library_.symbol<nvml::Init>("nvmlInit_v2");
  if (init == nullptr) return Unavailable{nvml->library_.name() + ": " + kLacking + " nvmlInit_v2"};
  if (const nvml::Return status = init(); status != nvml::kSuccess) {
    return Unavailable{nvml->library_.name() + ": " + nvml->text_of(status)};
  }
  nvml->initialised_ = true;
  return nvml;
}

std::string Nvml::text_of(nvml::Return status) const {
  auto* error_string = library_.symbol<nvml::ErrorString>("nvmlErrorString");
  const char* text = error_string != nullptr ? error_string(status) : nullptr;
  return (text != nullptr ? std::string(text) : std::string("error")) + " (NVML " + std::to_string(status) + ")";
}

std::variant<std::string, Unavailable> Nvml::system_text(const char* function) const {
  auto* call = library_.symbol<nvml::SystemText>(function);
  if (call == nullptr) return Unavailable{kLacking};
  std::array<char, nvml::kTextSize> text{};
  if (const nvml::Return status = call(text.data(), nvml::kTextSize - 1); status != nvml::kSuccess) {
    return Unavailable{text_of(status)};
  }
  return std::string(text.data());
}

std::variant<std::string, Unavailable> Nvml::driver_version() const {
  return system_text("nvmlSystemGetDriverVersion");
}

std::variant<std::string, Unavailable> Nvml::library_version() const { return system_text("nvmlSystemGetNVMLVersion"); }

std::variant<NvmlDevice, Unavailable> NvmlDevice::find(std::shared_ptr<const Nvml> nvml,
                                                       const std::string& pci_bus_id) {
  auto* by_bus_id = nvml->library_.symbol<nvml::HandleByPciBusId>("nvmlDeviceGetHandleByPciBusId_v2");
  if (by_bus_id == nullptr) return Unavailable{kLacking};
  nvml::DeviceHandle* handle = nullptr;
  if (const nvml::Return status = by_bus_id(pci_bus_id.c_str(), &handle); status != nvml::kSuccess) {
    return Unavailable{"device " + pci_bus_id + ": " + nvml->text_of(status)};
  }
  return NvmlDevice(std::move(nvml), handle);
}

NvmlDevice::NvmlDevice(std::shared_ptr<const Nvml> nvml, nvml::DeviceHandle* handle)
    : nvml_(std::move(nvml)), handle_(handle) {
  const DynamicLibrary& library = nvml_->library_;
  functions_.name = library.symbol<nvml::DeviceText>("nvmlDeviceGetName");
  functions_.power = library.symbol<nvml::DeviceUnsigned>("nvmlDeviceGetPowerUsage");
  functions_.power_limit = library.symbol<nvml::DeviceUnsigned>("nvmlDeviceGetEnforcedPowerLimit");
  functions_.energy = library.symbol<nvml::DeviceLong>("nvmlDeviceGetTotalEnergyConsumption");
  functions_.clock = library.symbol<nvml::DeviceUnsignedOf>("nvmlDeviceGetClockInfo");
  functions_.temperature = library.symbol<nvml::DeviceUnsignedOf>("nvmlDeviceGetTemperature");
  functions_.memory = library.symbol<nvml::DeviceMemory>("nvmlDeviceGetMemoryInfo");
  functions_.utilisation = library.symbol<nvml::DeviceUtilization>("nvmlDeviceGetUtilizationRates");
  functions_.clock_reasons = library.symbol<nvml::DeviceLong>("nvmlDeviceGetCurrentClocksEventReasons");
  if (functions_.clock_reasons == nullptr) {
    functions_.clock_reasons = library.symbol<nvml::DeviceLong>("nvmlDeviceGetCurrentClocksThrottleReasons");
  }
  functions_.ecc = library.symbol<nvml::DeviceEcc>("nvmlDeviceGetTotalEccErrors");
  functions_.fields = library.symbol<nvml::DeviceFields>("nvmlDeviceGetFieldValues");
}

std::variant<std::string, Unavailable> NvmlDevice::name() const {
  if (functions_.name == nullptr) return Unavailable{kLacking};
  std::array<char, nvml::kTextSize> text{};
  const nvml::Return status = functions_.name(handle_, text.data(), nvml::kTextSize - 1);
  if (status != nvml::kSuccess) return Unavailable{nvml_->text_of(status)};
  return std::string(text.data());
}

std::optional<Watts> NvmlDevice::instant_power() const {
  if (functions_.fields == nullptr) return std::nullopt;
  nvml::FieldValue field{};
  field.field = nvml::kFieldPowerInstant;
  if (functions_.fields(handle_, 1, &field) != nvml::kSuccess || field.status != nvml::kSuccess) return std::nullopt;
  const std::optional<double> milliwatts = number_of(field);
  if (!milliwatts) return std::nullopt;
  return Watts{*milliwatts * kPerMilli};
}

DeviceReading NvmlDevice::read() const {
  DeviceReading reading;
  // True when `function` exists and `call` succeeded; else the reason is noted under `field`.
  const auto offered = [&](const char* field, auto* function, const auto& call) {
    if (function == nullptr) {
      reading.unavailable[field] = kLacking;
      return false;
    }
    const nvml::Return status = call();
    if (status != nvml::kSuccess) reading.unavailable[field] = nvml_->text_of(status);
    return status == nvml::kSuccess;
  };
  const Functions& f = functions_;
  unsigned value = 0;
  unsigned long long wide = 0;
  nvml::Memory memory{};
  nvml::Utilization rates{};

  reading.power = instant_power();
  if (!reading.power && offered("power", f.power, [&] { return f.power(handle_, &value); })) {
    reading.power = Watts{value * kPerMilli};
  }
  if (offered("energy", f.energy, [&] { return f.energy(handle_, &wide); })) {
    reading.energy = Joules{static_cast<double>(wide) * kPerMilli};
  }
  if (offered("sm_clock", f.clock, [&] { return f.clock(handle_, nvml::kClockSm, &value); })) {
    reading.sm_clock = Hertz{value * kPerMega};
  }
  if (offered("memory_clock", f.clock, [&] { return f.clock(handle_, nvml::kClockMemory, &value); })) {
    reading.memory_clock = Hertz{value * kPerMega};
  }
  if (offered("temperature_c", f.temperature, [&] { return f.temperature(handle_, nvml::kTemperatureGpu, &value); })) {
    reading.temperature_c = value;
  }
  if (offered("memory_used", f.memory, [&] { return f.memory(handle_, &memory); })) {
    reading.memory_used = Bytes{static_cast<double>(memory.used)};
  }
  if (offered("utilisation", f.utilisation, [&] { return f.utilisation(handle_, &rates); })) {
    reading.utilisation = rates.gpu / 100.0;
  }
  if (offered("enforced_power_limit", f.power_limit, [&] { return f.power_limit(handle_, &value); })) {
    reading.enforced_power_limit = Watts{value * kPerMilli};
  }
  if (offered("clock_reasons", f.clock_reasons, [&] { return f.clock_reasons(handle_, &wide); })) {
    reading.clock_reasons = ClockReasons{wide};
  }
  if (offered("ecc_uncorrected", f.ecc,
              [&] { return f.ecc(handle_, nvml::kEccUncorrected, nvml::kEccVolatile, &wide); })) {
    reading.ecc_uncorrected = wide;
  }
  return reading;
}

}  // namespace lindos::exec
