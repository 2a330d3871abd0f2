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

DeviceTimer::Families DeviceTimer::by_family() const {
  Families seconds{};
  for (std::size_t i = 0; i < families_.size(); ++i) seconds[families_[i]] += elapsed(i, i + 1);
  return seconds;
}

void DeviceTimer::learn(std::int64_t class_key) {
  Families& shares = shares_[class_key];
  shares = by_family();
  double total = 0.0;
  for (const double t : shares) total += t;
  for (double& t : shares) t = total > 0.0 ? t / total : 0.0;
  families_.clear();
}

void DeviceTimer::book(std::int64_t class_key) {
  if (families_.empty()) return;
  Families seconds{};
  if (families_.back() == kGraph) {
    seconds = shares_.at(class_key);
    const double whole = elapsed(0, used_ - 1);
    for (double& t : seconds) t *= whole;
  } else {
    seconds = by_family();
  }
  for (std::size_t f = 0; f < kOpFamilies; ++f) totals_->add(static_cast<OpFamily>(f), Seconds{seconds[f]});
  families_.clear();
}

}  // namespace lindos::exec::cuda
