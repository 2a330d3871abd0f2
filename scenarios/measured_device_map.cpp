// SPDX-License-Identifier: Apache-2.0
#include "scenarios/measured_device_map.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <string_view>

namespace lindos {

namespace {

// "gpu 3" → 3.
std::optional<std::int64_t> gpu_of(std::string_view subject) {
  constexpr std::string_view kGpu = "gpu ";
  if (!subject.starts_with(kGpu)) return std::nullopt;
  subject.remove_prefix(kGpu.size());
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(subject.data(), subject.data() + subject.size(), number);
  if (error != std::errc{} || end != subject.data() + subject.size() || number < 0) return std::nullopt;
  return number;
}

// Of the points with a value; NaN without any. Windows are of equal length.
struct Taken {
  double sum = 0.0;
  float most = -std::numeric_limits<float>::infinity();
  int count = 0;
};

Taken take(const std::vector<SamplePoint>& points) {
  Taken taken;
  for (const SamplePoint& point : points) {
    if (std::isnan(point.value)) continue;
    taken.sum += static_cast<double>(point.value);
    taken.most = std::max(taken.most, point.value);
    ++taken.count;
  }
  return taken;
}

}  // namespace

std::optional<DeviceMap> measured_device_map(const Scenario& scenario, const RunSamples& samples) {
  DeviceMap map;
  map.pools = pool_shapes(scenario);
  const std::string& name = scenario.plan.groups.front().stages.front().ranks.front().pool;
  std::int64_t begin = 0;
  std::int64_t installed = 0;
  for (const PoolShape& pool : map.pools) {
    installed = pool.devices();
    if (pool.name == name) break;
    begin += installed;
  }
  std::vector<float> power(static_cast<std::size_t>(map.devices()), std::numeric_limits<float>::quiet_NaN());
  std::vector<float> temperature = power;
  bool any_power = false;
  bool any_temperature = false;
  for (const SampleSeries& series : samples.series) {
    const auto gpu = gpu_of(series.subject);
    if (!gpu || *gpu >= installed) continue;
    const Taken taken = take(series.points);
    if (taken.count == 0) continue;
    const auto device = static_cast<std::size_t>(begin + *gpu);
    if (series.quantity == "power_w") {
      power[device] = static_cast<float>(taken.sum / taken.count);
      any_power = true;
    } else if (series.quantity == "temperature_c") {
      temperature[device] = taken.most;
      any_temperature = true;
    }
  }
  if (any_power) map.fields.push_back({"power_w", encode_field(power)});
  if (any_temperature) map.fields.push_back({"temperature_c", encode_field(temperature)});
  if (map.fields.empty()) return std::nullopt;
  return map;
}

}  // namespace lindos
