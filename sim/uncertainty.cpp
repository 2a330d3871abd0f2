// SPDX-License-Identifier: Apache-2.0
#include "sim/uncertainty.h"

#include <cmath>

#include "scenarios/philox.h"

namespace lindos::sim {

double tier_sigma(const WorkTotals& totals, Family family) {
  const auto& by_tier = totals.seconds[static_cast<std::size_t>(family)];
  double seconds = 0.0;
  double weighted = 0.0;
  for (std::size_t t = 0; t < kTierCount; ++t) {
    seconds += by_tier[t];
    weighted += by_tier[t] * systematic_sigma(static_cast<Tier>(t), family);
  }
  return seconds > 0.0 ? weighted / seconds : 0.0;
}

std::vector<Factors> systematic_sigmas(const ReplicaModel& replica, const WorkTotals& totals) {
  std::vector<Factors> sigmas(replica.device_names().size());
  for (std::size_t f = 0; f < kFamilyCount; ++f) {
    const auto family = static_cast<Family>(f);
    for (std::size_t d = 0; d < sigmas.size(); ++d)
      sigmas[d][f] = std::hypot(replica.spread(d, family), tier_sigma(totals, family));
  }
  return sigmas;
}

Draw draw_factors(const std::vector<Factors>& sigmas, std::uint64_t seed, std::uint32_t index) {
  Draw draw;
  draw.devices.resize(sigmas.size());
  draw.machines.resize(sigmas.size());
  const PhiloxKey key = philox_key(seed);
  const auto normal = [&](std::size_t device, std::size_t what) {
    const PhiloxCounter bits =
        philox({index, static_cast<std::uint32_t>(device), static_cast<std::uint32_t>(what), 0}, key);
    return normal_pair(bits[0], bits[1])[0];
  };
  for (std::size_t d = 0; d < sigmas.size(); ++d) {
    for (std::size_t f = 0; f < kFamilyCount; ++f)
      draw.devices[d][f] = std::exp(sigmas[d][f] * normal(d, f));
    draw.machines[d] = normal(d, kFamilyCount);
  }
  draw.power = normal(0, kFamilyCount + 1);
  return draw;
}

}  // namespace lindos::sim
