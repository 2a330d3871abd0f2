// SPDX-License-Identifier: Apache-2.0
#include "sim/gemm_table.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "sim/roofline.h"

namespace lindos::sim {

namespace {

constexpr std::size_t kNeighbourSites = 8;
// Beyond two octaves a site says little about another (handbook §1.2, rule 3): still the best
// answer there is, but labelled as held at the edge.
constexpr double kTrustedOctaves = 2.0;
constexpr double kSameShape = 1e-9;

}  // namespace

double distance(ExecutionContext a, ExecutionContext b) {
  if (a == b) return 0.0;
  return std::abs(std::log2(static_cast<double>(a.threads) / b.threads)) +
         std::abs(std::log2(static_cast<double>(a.active_ranks) / b.active_ranks));
}

GemmTable::GemmTable(const Profile& profile) {
  for (const GemmSample& sample : profile.gemm) {
    if (sample.m <= 0 || sample.n <= 0 || sample.k <= 0 || sample.time.count() <= 0.0) continue;
    const ExecutionContext context{sample.threads, sample.active_ranks};
    auto configuration = std::find_if(
        configurations_.begin(), configurations_.end(),
        [&](const Configuration& c) { return c.dtype == sample.dtype && c.context == context; });
    if (configuration == configurations_.end()) {
      configuration = configurations_.insert(configurations_.end(), {sample.dtype, context, {}, {}});
    }
    const double log_n = std::log2(static_cast<double>(sample.n));
    const double log_k = std::log2(static_cast<double>(sample.k));
    const auto place = std::find_if(configuration->places.begin(), configuration->places.end(),
                                    [&](const Place& p) { return p.log_n == log_n && p.log_k == log_k; });
    const auto site = static_cast<std::size_t>(place - configuration->places.begin());
    if (place == configuration->places.end()) {
      configuration->places.push_back({log_n, log_k});
      configuration->curves.emplace_back();
    }
    const Work work = gemm_work(static_cast<double>(sample.m), static_cast<double>(sample.n),
                                static_cast<double>(sample.k), bytes_of(sample.dtype));
    const Ceilings own = ceilings(profile, sample.dtype, context.threads, context.active_ranks);
    const Seconds sol = roofline(work.flop, work.bytes, own);
    configuration->curves[site].push_back(
        {std::log2(static_cast<double>(sample.m)), sol / sample.time, sample.spread});
  }
  for (Configuration& configuration : configurations_) {
    for (Curve& curve : configuration.curves)
      std::sort(curve.begin(), curve.end(), [](const Point& a, const Point& b) { return a.log_m < b.log_m; });
  }
}

const GemmTable::Configuration* GemmTable::nearest(Dtype dtype, ExecutionContext context) const {
  const Configuration* best = nullptr;
  double best_distance = std::numeric_limits<double>::infinity();
  constexpr double kOtherDtype = 1e6;  // any context of the same dtype is nearer
  for (const Configuration& c : configurations_) {
    const double d = distance(c.context, context) + (c.dtype == dtype ? 0.0 : kOtherDtype);
    if (d < best_distance) {
      best_distance = d;
      best = &c;
    }
  }
  return best;
}

Utilisation GemmTable::on_curve(const Curve& curve, double log_m) {
  const auto above = std::lower_bound(curve.begin(), curve.end(), log_m,
                                      [](const Point& p, double x) { return p.log_m < x; });
  if (above != curve.end() && above->log_m - log_m < kSameShape) {
    return {above->util, above->spread, Tier::kMeasured};
  }
  if (above == curve.begin()) return {curve.front().util, curve.front().spread, Tier::kEdge};
  if (above == curve.end()) return {curve.back().util, curve.back().spread, Tier::kEdge};
  const Point& low = *(above - 1);
  const double x = (log_m - low.log_m) / (above->log_m - low.log_m);
  return {low.util + x * (above->util - low.util), std::max(low.spread, above->spread),
          Tier::kInterpolated};
}

std::optional<Utilisation> GemmTable::utilisation(double m, double n, double k, Dtype dtype,
                                                  ExecutionContext context) const {
  const Configuration* configuration = nearest(dtype, context);
  if (configuration == nullptr) return std::nullopt;
  const bool same_kernel = configuration->dtype == dtype && configuration->context == context;
  const double log_m = std::log2(m);
  const double log_n = std::log2(n);
  const double log_k = std::log2(k);

  struct Near {
    double squared = std::numeric_limits<double>::infinity();
    const Curve* curve = nullptr;
  };
  std::array<Near, kNeighbourSites> near;  // ascending by distance
  for (std::size_t i = 0; i < configuration->places.size(); ++i) {
    const Place& place = configuration->places[i];
    Near candidate{(place.log_n - log_n) * (place.log_n - log_n) + (place.log_k - log_k) * (place.log_k - log_k),
                   &configuration->curves[i]};
    if (candidate.squared >= near.back().squared) continue;
    for (Near& slot : near) {
      if (candidate.squared < slot.squared) std::swap(candidate, slot);
    }
  }
  if (near[0].squared < kSameShape) {
    Utilisation exact = on_curve(*near[0].curve, log_m);
    if (!same_kernel) exact.tier = Tier::kNeighbour;
    return exact;
  }
  // The mean of times in units of the roofline: that of utilisations is too fast wherever they differ.
  Utilisation blend{0.0, 0.0, Tier::kInterpolated};
  double weights = 0.0;
  for (const Near& slot : near) {
    if (slot.curve == nullptr) break;
    const Utilisation u = on_curve(*slot.curve, log_m);
    const double weight = 1.0 / slot.squared;
    blend.value += weight / u.value;
    weights += weight;
    blend.spread = std::max(blend.spread, u.spread);
    if (u.tier == Tier::kEdge) blend.tier = Tier::kEdge;
  }
  blend.value = weights / blend.value;
  if (near[0].squared > kTrustedOctaves * kTrustedOctaves) blend.tier = Tier::kEdge;
  if (!same_kernel) blend.tier = Tier::kNeighbour;
  return blend;
}

}  // namespace lindos::sim
