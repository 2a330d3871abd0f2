// SPDX-License-Identifier: Apache-2.0
#include "exec/telemetry/device_sampler.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "scenarios/error.h"

namespace lindos::exec {

DeviceSampler::DeviceSampler(Read read, Seconds period, Now now)
    : read_(std::move(read)), now_(std::move(now)), period_(period) {
  LINDOS_ASSERT(period_ > Seconds{0}, "a sampling period is positive");
}

Seconds DeviceSampler::steady_now() { return std::chrono::steady_clock::now().time_since_epoch(); }

void DeviceSampler::start() {
  LINDOS_ASSERT(!thread_.joinable(), "the sampler runs already");
  statistics_ = DeviceStatistics{};
  sample();
  thread_ = std::jthread([this](const std::stop_token& stopped) { loop(stopped); });
}

DeviceSummary DeviceSampler::stop() {
  LINDOS_ASSERT(thread_.joinable(), "the sampler does not run");
  thread_.request_stop();
  thread_.join();
  sample();
  return statistics_.summary();
}

void DeviceSampler::sample() {
  const DeviceReading reading = read_();
  statistics_.add(now_(), reading);
}

void DeviceSampler::loop(const std::stop_token& stopped) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  const auto period = std::chrono::duration_cast<std::chrono::steady_clock::duration>(period_);
  auto due = std::chrono::steady_clock::now() + period;
  while (true) {
    wake.wait_until(lock, stopped, due, [] { return false; });
    if (stopped.stop_requested()) return;
    sample();
    // From the plan, not from now: the time of a reading does not slow the rate. Missed samples are dropped.
    const auto now = std::chrono::steady_clock::now();
    do {
      due += period;
    } while (due <= now);
  }
}

}  // namespace lindos::exec
