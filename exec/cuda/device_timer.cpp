// SPDX-License-Identifier: Apache-2.0
#include "exec/cuda/device_timer.h"

namespace lindos::exec::cuda {

void DeviceTimer::record() {
  if (used_ == events_.size()) events_.emplace_back(true);
  events_[used_++].record(*stream_);
}

void DeviceTimer::begin() {
  used_ = 0;
  families_.clear();
  record();
}

void DeviceTimer::mark(OpFamily family) {
  // Neighbours of one family share a mark.
  const auto f = static_cast<std::size_t>(family);
  if (!families_.empty() && families_.back() == f) {
    events_[used_ - 1].record(*stream_);
    return;
  }
  record();
  families_.push_back(f);
}

void DeviceTimer::end_graph() {
  record();
  families_.push_back(kGraph);
}

double DeviceTimer::elapsed(std::size_t from, std::size_t to) const {
  float ms = 0.0F;
  check(cudaEventElapsedTime(&ms, events_[from].get(), events_[to].get()), "timing of a step");
  return static_cast<double>(ms) * 1e-3;
}

void DeviceTimer::book(std::int64_t class_key) {
  if (families_.empty()) return;
  std::array<double, kOpFamilies> seconds{};
  if (families_.back() == kGraph) {
    const double whole = elapsed(0, used_ - 1);
    const std::array<double, kOpFamilies>& shares = shares_.at(class_key);
    for (std::size_t f = 0; f < kOpFamilies; ++f) seconds[f] = whole * shares[f];
  } else {
    double total = 0.0;
    for (std::size_t i = 0; i < families_.size(); ++i) {
      const double t = elapsed(i, i + 1);
      seconds[families_[i]] += t;
      total += t;
    }
    std::array<double, kOpFamilies>& shares = shares_[class_key];
    for (std::size_t f = 0; f < kOpFamilies; ++f) shares[f] = total > 0.0 ? seconds[f] / total : 0.0;
  }
  for (std::size_t f = 0; f < kOpFamilies; ++f) totals_->add(static_cast<OpFamily>(f), Seconds{seconds[f]});
  families_.clear();
}

}  // namespace lindos::exec::cuda
