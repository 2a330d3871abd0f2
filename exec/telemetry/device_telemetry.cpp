// SPDX-License-Identifier: Apache-2.0
#include "exec/telemetry/device_telemetry.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "exec/telemetry/measured_record.h"
#include "exec/telemetry/nvml.h"
#include "scenarios/error.h"

namespace lindos::exec {

namespace {

DeviceSampler::Read reader_of(const std::variant<std::shared_ptr<const Nvml>, Unavailable>& nvml,
                              const std::string& pci_bus_id) {
  std::variant<NvmlDevice, Unavailable> device = Unavailable{};
  if (const auto* absent = std::get_if<Unavailable>(&nvml)) {
    device = *absent;
  } else {
    device = NvmlDevice::find(std::get<std::shared_ptr<const Nvml>>(nvml), pci_bus_id);
  }
  if (const auto* found = std::get_if<NvmlDevice>(&device)) return [gpu = *found] { return gpu.read(); };
  return [reading = unavailable_reading(std::get<Unavailable>(device).reason)] { return reading; };
}

// "2 × NVIDIA H200, 1 × NVIDIA A100".
std::string hardware_of(const std::vector<std::string>& names) {
  std::string text;
  std::set<std::string> said;
  for (const std::string& name : names) {
    if (!said.insert(name).second) continue;
    if (!text.empty()) text += ", ";
    text += fmt::format("{} × {}", std::count(names.begin(), names.end(), name), name);
  }
  return text;
}

// Σ of the devices' mean power; none when one of them does not give it.
std::optional<MeasuredPower> power_of(const std::vector<DeviceSummary>& devices) {
  MeasuredPower sum{Watts{0}, Joules{0}, PowerSource::kEnergyCounter};
  for (const DeviceSummary& device : devices) {
    if (!device.power) return std::nullopt;
    sum.mean += device.power->mean;
    sum.energy += device.power->energy;
    if (device.power->source == PowerSource::kPowerSamples) sum.source = PowerSource::kPowerSamples;
  }
  return sum;
}

double output_tokens(const EngineRun& run) {
  std::size_t tokens = 0;
  for (const auto& output : run.outcome.outputs) tokens += output.size();
  return static_cast<double>(tokens);
}

std::string absence_of(const std::vector<DeviceSummary>& devices, const char* field) {
  for (const DeviceSummary& device : devices) {
    if (const auto found = device.unavailable.find(field); found != device.unavailable.end()) return found->second;
  }
  return "no device";
}

}  // namespace

DeviceTelemetry telemetry_of(const std::vector<CudaDeviceName>& devices, std::map<std::string, std::string> libraries,
                             const std::vector<std::string>& nvml_names) {
  LINDOS_ASSERT(!devices.empty(), "a run on GPUs has a GPU");
  DeviceTelemetry telemetry;
  telemetry.libraries = std::move(libraries);
  const auto nvml = Nvml::load(nvml_names);
  if (const auto* absent = std::get_if<Unavailable>(&nvml)) {
    telemetry.driver = "not available: " + absent->reason;
  } else {
    const Nvml& library = *std::get<std::shared_ptr<const Nvml>>(nvml);
    const auto driver = library.driver_version();
    const auto* known = std::get_if<std::string>(&driver);
    telemetry.driver = known != nullptr ? *known : "not available: " + std::get<Unavailable>(driver).reason;
    if (const auto version = library.library_version(); std::holds_alternative<std::string>(version)) {
      telemetry.libraries["nvml"] = std::get<std::string>(version);
    }
  }
  std::vector<std::string> names;
  std::set<std::string> seen;
  for (const CudaDeviceName& device : devices) {
    if (!seen.insert(device.pci_bus_id).second) continue;
    names.push_back(device.name);
    telemetry.devices.push_back(reader_of(nvml, device.pci_bus_id));
  }
  telemetry.hardware = hardware_of(names);
  return telemetry;
}

DeviceWatch::DeviceWatch(const DeviceTelemetry& telemetry, Seconds period) {
  for (const DeviceSampler::Read& read : telemetry.devices)
    samplers_.push_back(std::make_unique<DeviceSampler>(read, period));
}

void DeviceWatch::start() {
  for (const auto& sampler : samplers_) sampler->start();
}

std::vector<DeviceSummary> DeviceWatch::stop() {
  std::vector<DeviceSummary> summaries;
  for (const auto& sampler : samplers_) summaries.push_back(sampler->stop());
  return summaries;
}

void record_devices(RunRecord& record, const DeviceTelemetry& telemetry, const std::vector<EngineRun>& runs,
                    const std::vector<std::vector<DeviceSummary>>& uses) {
  LINDOS_ASSERT(!uses.empty() && uses.size() == runs.size(), "each run has its summaries");
  std::vector<double> watts;
  std::vector<double> joules_per_token;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const std::optional<MeasuredPower> power = power_of(uses[i]);
    if (!power) continue;
    watts.push_back(power->mean.value());
    if (const double tokens = output_tokens(runs[i]); tokens > 0.0) {
      joules_per_token.push_back(power->energy.value() / tokens);
    }
  }
  if (watts.size() == runs.size()) set_measured(record, "power_w", watts);
  if (joules_per_token.size() == runs.size()) set_measured(record, "energy_per_token_j", joules_per_token);
  record.environment.hardware = telemetry.hardware;
  record.environment.driver = telemetry.driver;
  for (const auto& [name, version] : telemetry.libraries) record.environment.libraries[name] = version;
}

std::string describe(const std::vector<DeviceSummary>& devices) {
  LINDOS_ASSERT(!devices.empty(), "something to describe");
  std::string text;
  const std::optional<MeasuredPower> power = power_of(devices);
  text += power ? fmt::format("{:.0f} W ({})", power->mean.value(), name_of(power->source))
                : fmt::format("power not available: {}", absence_of(devices, "power"));

  std::optional<ClockRange> clock;
  std::optional<double> hottest;
  std::map<ClockLoss, double> losses;   // the device that lost most
  bool reasons_known = true;
  for (const DeviceSummary& device : devices) {
    if (device.sm_clock) {
      const ClockRange& own = *device.sm_clock;
      clock = clock ? ClockRange{std::min(clock->min, own.min), std::min(clock->median, own.median)} : own;
    }
    if (const auto& own = device.temperature_max_c) hottest = std::max(hottest.value_or(*own), *own);
    reasons_known = reasons_known && device.clock_losses.has_value();
    if (!device.clock_losses) continue;
    for (const auto& [loss, share] : *device.clock_losses) losses[loss] = std::max(losses[loss], share);
  }
  text += clock ? fmt::format(", SM {:.0f} MHz (min {:.0f})", clock->median.value() / 1e6, clock->min.value() / 1e6)
                : fmt::format(", SM clock not available: {}", absence_of(devices, "sm_clock"));
  text += hottest ? fmt::format(", {:.0f} °C", *hottest)
                  : fmt::format(", temperature not available: {}", absence_of(devices, "temperature_max_c"));
  if (!reasons_known) return text + ", clock reasons not available: " + absence_of(devices, "clock_losses");
  if (losses.empty()) return text + ", clocks not limited";
  for (const auto& [loss, share] : losses) {
    text += fmt::format(", {} in {:.0f} % of samples", name_of(loss), share * 100.0);
  }
  return text;
}

}  // namespace lindos::exec
