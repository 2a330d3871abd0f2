// SPDX-License-Identifier: Apache-2.0
#include "sim/power_model.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>

namespace lindos::sim {

namespace {

// Repeats of one load differ with the heat of the chip: leakage of some per cent over 30 K. Assumed.
constexpr double kHeatSigma = 0.02;
// Without samples of steps: kernels below both ceilings draw more per byte or FLOP than the ceilings say. Assumed.
constexpr double kCeilingsOnlySigma = 0.15;
// Of a GPU without samples: shares of its dynamic power at the rates of reading and of arithmetic that its profile calls
// ceilings. Fitted to 30,709 kernels with power of aiconfigurator's vllm/0.22.0 tables (GEMM, context and decode
// attention, bf16, longer than 100 us; H200 and GB200, each family of each device counting alike). More than 1 of
// arithmetic: a product reaches the board's limit far below the ceiling. The means of the six families are 3 to 41 % off,
// 19 % in the root of their mean square; of a device that was held out 34 % (H200) and 25 % (GB200), in the root of their
// mean square the sigma. tools/fit_typical_power.py repeats all of them.
constexpr double kReadShare = 0.55;
constexpr double kArithmeticShare = 2.0;
constexpr double kNoSamplesSigma = 0.30;

bool has_kernels(const Profile& profile) {
  const auto known = [](const auto& sample) { return sample.power.value() > 0.0; };
  return std::any_of(profile.gemm.begin(), profile.gemm.end(), known) ||
         std::any_of(profile.attention.begin(), profile.attention.end(), known);
}

const PowerSample* find(const Profile& profile, const char* load) {
  const auto found = std::find_if(profile.power.begin(), profile.power.end(),
                                  [&](const PowerSample& s) { return s.load == load; });
  return found == profile.power.end() ? nullptr : &*found;
}

template <class Point>
double line(const Point& a, const Point& b, double share) {
  return a.log_ratio + (b.log_ratio - a.log_ratio) * (share - a.share) / (b.share - a.share);
}

}  // namespace

std::optional<PowerModel> PowerModel::of(const Profile& profile, Watts board_limit) {
  const PowerSample* idle = find(profile, "idle");
  const PowerSample* read = find(profile, "read");
  const PowerSample* matrix = find(profile, "matrix");
  if (idle == nullptr || read == nullptr || matrix == nullptr) return std::nullopt;
  if (read->byte_rate.value() <= 0.0 || matrix->flop_rate.value() <= 0.0) return std::nullopt;
  PowerModel model;
  model.idle_ = idle->power;
  const double read_w = (read->power - idle->power).value();
  model.joules_per_byte_ = read_w / read->byte_rate.value();
  const double matrix_w = (matrix->power - idle->power).value() - model.joules_per_byte_ * matrix->byte_rate.value();
  model.joules_per_flop_ = matrix_w / matrix->flop_rate.value();
  if (read_w <= 0.0 || matrix_w <= 0.0) return std::nullopt;
  const Watts limit = profile.power_limit.value() > 0.0 ? profile.power_limit : board_limit;
  model.limit_ = limit.value() > 0.0 ? std::max(limit, model.idle_) : Watts{std::numeric_limits<double>::infinity()};

  bool steps = false;
  for (const PowerSample& s : profile.power) {
    const double bytes_w = model.joules_per_byte_ * s.byte_rate.value();
    const double flop_w = model.joules_per_flop_ * s.flop_rate.value();
    const double added_w = (s.power - model.idle_).value();
    if (bytes_w + flop_w <= 0.0 || added_w <= 0.0) continue;
    steps = steps || s.load == "steps";
    model.points_.push_back({flop_w / (bytes_w + flop_w), std::log(added_w / (bytes_w + flop_w))});
  }
  std::sort(model.points_.begin(), model.points_.end(),
            [](const Point& a, const Point& b) { return a.share < b.share; });
  // Loads of one mix: their mean.
  std::vector<Point> distinct;
  for (std::size_t i = 0; i < model.points_.size();) {
    Point mean{model.points_[i].share, 0.0};
    std::size_t count = 0;
    for (; i < model.points_.size() && model.points_[i].share == mean.share; ++i, ++count)
      mean.log_ratio += model.points_[i].log_ratio;
    mean.log_ratio /= static_cast<double>(count);
    distinct.push_back(mean);
  }
  model.points_ = std::move(distinct);

  if (!steps) {
    model.sigma_ = std::hypot(kCeilingsOnlySigma, profile.power_spread);
    return model;
  }
  // Each inner sample against the line between its neighbours. That line spans two intervals, and other kernels may run
  // on either side of a sample; such a kink leaves a line by its span, so half of it is the error between two samples.
  double squares = 0.0;
  const std::size_t inner = model.points_.size() - std::min<std::size_t>(model.points_.size(), 2);
  for (std::size_t i = 1; i <= inner; ++i) {
    const Point& point = model.points_[i];
    squares += std::pow(point.log_ratio - line(model.points_[i - 1], model.points_[i + 1], point.share), 2);
  }
  const double between = inner > 0 ? std::sqrt(squares / static_cast<double>(inner)) / 2.0 : 0.0;
  model.sigma_ = std::hypot(kHeatSigma, between, profile.power_spread);
  return model;
}

std::optional<PowerModel> PowerModel::typical(const Profile& profile, Watts idle, Watts limit) {
  if (idle.value() <= 0.0 || limit <= idle) return std::nullopt;
  if (profile.matrix_rate.value() <= 0.0 || profile.read_bandwidth.value() <= 0.0) return std::nullopt;
  PowerModel model;
  model.idle_ = idle;
  model.limit_ = limit;
  model.joules_per_byte_ = kReadShare * (limit - idle).value() / profile.read_bandwidth.value();
  model.joules_per_flop_ = kArithmeticShare * (limit - idle).value() / profile.matrix_rate.value();
  model.by_kernels_ = has_kernels(profile);
  model.sigma_ = model.by_kernels_ ? std::hypot(kHeatSigma, profile.power_spread) : kNoSamplesSigma;
  return model;
}

double PowerModel::log_ratio(double share) const {
  const auto after =
      std::find_if(points_.begin(), points_.end(), [&](const Point& p) { return p.share >= share; });
  if (after == points_.begin()) return points_.front().log_ratio;
  if (after == points_.end()) return points_.back().log_ratio;
  return line(*(after - 1), *after, share);
}

void PowerModel::count(PowerWork& work, Watts own, Seconds time, Flop flop, Bytes bytes) const {
  if (by_kernels_ && own.value() > 0.0) {
    work.kernels += std::max(Watts{0}, own - idle_) * time;
    return;
  }
  work.flop += flop;
  work.bytes += bytes;
}

Joules PowerModel::added(const PowerWork& work) const {
  const double of_bytes = joules_per_byte_ * work.bytes.value();
  const double of_flop = joules_per_flop_ * work.flop.value();
  const double sum = of_bytes + of_flop;
  if (points_.empty() || sum <= 0.0) return work.kernels + Joules{sum};
  return work.kernels + Joules{sum * std::exp(log_ratio(of_flop / sum))};
}

}  // namespace lindos::sim
