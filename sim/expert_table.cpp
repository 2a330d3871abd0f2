// SPDX-License-Identifier: Apache-2.0
#include "sim/expert_table.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>

namespace lindos::sim {

namespace {

constexpr std::size_t kNeighbourSites = 4;
constexpr double kTrustedOctaves = 2.0;  // as for GEMM sites
constexpr double kSameShape = 1e-9;

}  // namespace

Work expert_work(double pairs, double hit, double n, double k, double weight_element_bytes) {
  const Work one = gemm_work(pairs / hit, n, k, weight_element_bytes);
  return {one.flop * hit, one.bytes * hit};
}

ExpertTable::ExpertTable(const Profile& profile) {
  for (const ExpertSample& s : profile.experts) {
    const double log_hidden = std::log2(static_cast<double>(s.hidden));
    const double log_ffn = std::log2(static_cast<double>(s.ffn));
    const double log_held = std::log2(static_cast<double>(s.held));
    auto site = std::find_if(sites_.begin(), sites_.end(), [&](const Site& other) {
      return other.dtype == s.dtype && other.log_hidden == log_hidden && other.log_ffn == log_ffn &&
             other.log_held == log_held && other.experts == s.experts && other.top_k == s.top_k;
    });
    if (site == sites_.end())
      site = sites_.insert(sites_.end(), {s.dtype, log_hidden, log_ffn, log_held, s.experts, s.top_k, {}});
    const auto tokens = static_cast<double>(s.tokens);
    const double share = static_cast<double>(s.top_k) / static_cast<double>(s.experts);
    const auto held = static_cast<double>(s.held);
    // Whole rows and experts, as ops count them.
    const double pairs = std::max(1.0, std::round(tokens * share * held));
    const double hit = std::ceil(held * (1.0 - std::pow(1.0 - share, tokens)) - 1e-9);
    const Ceilings own = ceilings(profile, s.dtype, 1, 1);
    const double element = bytes_of(s.dtype);
    const auto hidden = static_cast<double>(s.hidden);
    const auto ffn = static_cast<double>(s.ffn);
    const Work up = expert_work(pairs, hit, 2.0 * ffn, hidden, element);
    const Work down = expert_work(pairs, hit, hidden, ffn, element);
    const Seconds sol = roofline(up.flop, up.bytes, own) + roofline(down.flop, down.bytes, own);
    site->curve.push_back({std::log2(pairs / held), sol / s.time, s.spread});
  }
  for (Site& site : sites_) {
    std::sort(site.curve.begin(), site.curve.end(),
              [](const Point& a, const Point& b) { return a.log_rows < b.log_rows; });
  }
}

bool ExpertTable::has(Dtype dtype) const {
  return std::any_of(sites_.begin(), sites_.end(), [&](const Site& s) { return s.dtype == dtype; });
}

Utilisation ExpertTable::on_curve(const Site& site, double log_rows) {
  const std::vector<Point>& curve = site.curve;
  const auto above = std::lower_bound(curve.begin(), curve.end(), log_rows,
                                      [](const Point& p, double x) { return p.log_rows < x; });
  if (above == curve.begin()) {
    const bool exact = above->log_rows - log_rows < kSameShape;
    return {above->util, above->spread, exact ? Tier::kMeasured : Tier::kEdge};
  }
  if (above == curve.end()) return {curve.back().util, curve.back().spread, Tier::kEdge};
  const Point& low = *(above - 1);
  const double x = (log_rows - low.log_rows) / (above->log_rows - low.log_rows);
  return {low.util + x * (above->util - low.util), std::max(low.spread, above->spread), Tier::kInterpolated};
}

std::optional<Utilisation> ExpertTable::utilisation(const ExpertShape& shape, Dtype dtype) const {
  struct Near {
    double squared = std::numeric_limits<double>::infinity();
    const Site* site = nullptr;
  };
  std::array<Near, kNeighbourSites> near;  // ascending by distance
  const double hidden = std::log2(shape.hidden);
  const double ffn = std::log2(shape.ffn);
  const double held = std::log2(shape.held);
  for (const Site& site : sites_) {
    if (site.dtype != dtype) continue;
    const double h = site.log_hidden - hidden;
    const double f = site.log_ffn - ffn;
    const double e = site.log_held - held;
    Near candidate{h * h + f * f + e * e, &site};
    for (Near& slot : near) {
      if (candidate.squared < slot.squared) std::swap(candidate, slot);
    }
  }
  if (near[0].site == nullptr) return std::nullopt;
  const double log_rows = std::log2(shape.rows_per_expert);
  const bool exact = near[0].squared < kSameShape;
  Utilisation blend{0.0, 0.0, Tier::kInterpolated};
  double weights = 0.0;
  for (const Near& slot : near) {
    // Sites of the very shape differ in how many experts a token picks; beside them others say nothing.
    if (slot.site == nullptr || (exact && slot.squared >= kSameShape)) break;
    const Utilisation u = on_curve(*slot.site, log_rows);
    const double weight = 1.0 / std::max(slot.squared, kSameShape);
    blend.value += weight * u.value;
    weights += weight;
    blend.spread = std::max(blend.spread, u.spread);
    if (u.tier == Tier::kEdge) blend.tier = Tier::kEdge;
  }
  blend.value /= weights;
  if (near[0].squared > kTrustedOctaves * kTrustedOctaves) blend.tier = Tier::kEdge;
  return blend;
}

}  // namespace lindos::sim
