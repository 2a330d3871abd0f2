// SPDX-License-Identifier: Apache-2.0
#include "sim/fleet_power.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "sim/power_series.h"
#include "sim/power_limit.h"

namespace lindos::sim {

namespace {

// Of one replica's devices, those of a pool.
struct PoolPart {
  double devices = 0.0;
  Watts most{0};  // that they may add
};

// By pool name. Where a replica lies on several pools, what it adds is shared out as what they may add.
std::map<std::string, PoolPart> parts_of(const ServingGroup& group) {
  std::map<std::string, PoolPart> parts;
  for (std::size_t s = 0; s < group.plan.stages.size(); ++s) {
    const std::vector<RankCeiling>& ceilings = group.replica.ranks(s);
    for (std::size_t r = 0; r < ceilings.size(); ++r) {
      PoolPart& part = parts[group.plan.stages[s].ranks[r].pool];
      part.devices += 1.0;
      part.most += std::min(ceilings[r].added_limit, ceilings[r].added_cap);
    }
  }
  return parts;
}

}  // namespace

std::optional<FleetPower> FleetPower::of(const Scenario& scenario, const Fleet& fleet,
                                         const std::vector<ReplicaOutcome>& replicas) {
  FleetPower power;
  power.pue_ = scenario.cluster.power.pue;
  power.cap_ = scenario.cluster.power.site_cap;
  std::vector<double> simulated(fleet.groups.size(), 0.0);
  for (const ReplicaOutcome& replica : replicas) {
    simulated[replica.group] += 1.0;
    power.end_ = std::max(power.end_, replica.end);
  }
  std::vector<PowerSeries> added(fleet.groups.size());  // of all replicas of the group
  PowerSeries longest;  // as long slices as any has, and as the run needs
  longest.cover(power.end_);
  for (const ReplicaOutcome& replica : replicas) {
    added[replica.group].merge(replica.power, replicas_of(fleet.groups[replica.group].plan) / simulated[replica.group]);
    longest.coarsen_to(replica.power);
  }
  const auto silent = [](const PowerSeries& series) { return series.slices().empty(); };
  if (std::all_of(added.begin(), added.end(), silent)) return std::nullopt;
  for (PowerSeries& series : added) series.coarsen_to(longest);
  power.slice_ = longest.slice_length();
  power.slices_ = static_cast<std::size_t>(std::ceil(power.end_ / power.slice_));
  // A step that ends with a slice has opened the next one.
  for (const PowerSeries& series : added) power.slices_ = std::max(power.slices_, series.slices().size());

  const DeviceLimits limits = device_limits(scenario, OtherDevices::kRest);
  for (const Pool& pool : scenario.cluster.pools) {
    PoolSlices own;
    own.name = pool.name;
    own.at_rest = node_idle(scenario, pool) * static_cast<double>(pool.nodes);
    own.devices.assign(power.slices_, Watts{0});
    own.hosts.assign(power.slices_, Watts{0});
    for (const std::map<std::string, Watts>& group : limits.groups) {
      if (const auto limit = group.find(pool.name); limit != group.end()) own.limit = std::max(own.limit, limit->second);
    }
    if (own.limit >= scenario.devices.at(pool.node.device).power_max) own.limit = Watts{0};
    const Watts host = host_added_per_device(scenario, pool);
    for (std::size_t g = 0; g < fleet.groups.size(); ++g) {
      const ServingGroup& group = fleet.groups[g];
      if (!group.replica.power()) return std::nullopt;
      power.sigma_ = std::max(power.sigma_, group.replica.power()->sigma);
      const std::map<std::string, PoolPart> parts = parts_of(group);
      const auto part = parts.find(pool.name);
      if (part == parts.end()) continue;
      PoolPart all;
      for (const auto& [name, each] : parts) {
        all.devices += each.devices;
        all.most += each.most;
      }
      own.most += part->second.most * replicas_of(group.plan);
      const double share = parts.size() == 1 ? 1.0 : part->second.most / all.most;
      const double devices = part->second.devices / all.devices;
      const std::vector<PowerSeries::Slice>& slices = added[g].slices();
      for (std::size_t i = 0; i < slices.size(); ++i) {
        own.devices[i] += slices[i].added * share / power.slice_;
        own.hosts[i] += host * (slices[i].device_seconds * devices / power.slice_.count());
      }
    }
    power.pools_.push_back(std::move(own));
  }
  return power;
}

Watts FleetPower::pool_at(const PoolSlices& pool, std::size_t slice, double factor) const {
  return (pool.at_rest + std::min(pool.devices[slice] * factor, pool.most) + pool.hosts[slice]) * pue_;
}

Watts FleetPower::site_at(std::size_t slice, double factor) const {
  Watts sum{0};
  for (const PoolSlices& pool : pools_) sum += pool_at(pool, slice, factor);
  return sum;
}

Watts FleetPower::mean(double sigmas) const {
  const double factor = std::exp(sigma_ * sigmas);
  Joules sum{0};
  for (std::size_t i = 0; i < slices_; ++i) {
    // The last slice is cut off where the run ends; nothing is spent in it beyond what is at rest.
    sum += site_at(i, factor) * slice_;
  }
  Watts at_rest{0};
  for (const PoolSlices& pool : pools_) at_rest += pool.at_rest * pue_;
  const Seconds beyond = slice_ * static_cast<double>(slices_) - end_;
  return (sum - at_rest * beyond) / end_;
}

Watts FleetPower::peak(double sigmas) const {
  const double factor = std::exp(sigma_ * sigmas);
  Watts most{0};
  for (std::size_t i = 0; i < slices_; ++i) most = std::max(most, site_at(i, factor));
  return most;
}

RunSamples FleetPower::samples() const {
  const std::size_t each = (slices_ + kMostPoints - 1) / kMostPoints;  // slices of a point
  RunSamples out;
  const auto add_lines = [&](const std::string& subject, const auto& watts_at) {
    SampleSeries mean{subject, "power_mean_w", {}, {}};
    SampleSeries most{subject, "power_most_w", {}, {}};
    for (std::size_t first = 0; first < slices_; first += each) {
      const std::size_t last = std::min(slices_, first + each);
      Watts sum{0};
      Watts highest{0};
      for (std::size_t i = first; i < last; ++i) {
        sum += watts_at(i);
        highest = std::max(highest, watts_at(i));
      }
      const Seconds middle = slice_ * (0.5 * static_cast<double>(first + last));
      const auto at = static_cast<float>(middle.count());
      mean.points.push_back({at, static_cast<float>((sum / static_cast<double>(last - first)).value())});
      most.points.push_back({at, static_cast<float>(highest.value())});
    }
    out.series.push_back(std::move(mean));
    out.series.push_back(std::move(most));
  };
  const auto add_constant = [&](const std::string& subject, const char* quantity, Watts watts) {
    if (watts.value() <= 0.0) return;
    const auto value = static_cast<float>(watts.value());
    out.series.push_back({subject, quantity, {}, {{0.0F, value}, {static_cast<float>(end_.count()), value}}});
  };
  add_lines("site", [&](std::size_t i) { return site_at(i, 1.0); });
  add_constant("site", "power_cap_w", cap_);
  for (const PoolSlices& pool : pools_) {
    const std::string subject = "pool " + pool.name;
    add_lines(subject, [&](std::size_t i) { return pool_at(pool, i, 1.0); });
    add_constant(subject, "device_limit_w", pool.limit);
  }
  return out;
}

}  // namespace lindos::sim
