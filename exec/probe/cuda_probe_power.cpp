// SPDX-License-Identifier: Apache-2.0
// Power of the device: idle, at both ceilings, in steps of the engine.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "exec/probe/cuda_probe_parts.h"

namespace lindos::exec {

namespace {

constexpr double kBurstSeconds = 0.02;  // of launches between two waits, while power is sampled

// Keeps the device busy without a gap: a burst returns when the one before it is done.
class Bursts {
 public:
  Bursts(const cuda::Stream& stream, int launches, std::function<void(int)> launch)
      : stream_(&stream), launches_(launches), launch_(std::move(launch)) {}

  void operator()() {
    for (int i = 0; i < launches_; ++i) launch_(i);
    done_[next_].record(*stream_);
    next_ = 1 - next_;
    // Recorded by the burst before; an event that was never recorded counts as done.
    cuda::check(cudaEventSynchronize(done_[next_].get()), "a burst of launches");
  }

 private:
  const cuda::Stream* stream_;
  int launches_;
  std::function<void(int)> launch_;
  cuda::Event done_[2] = {cuda::Event(false), cuda::Event(false)};
  std::size_t next_ = 0;
};

}  // namespace

void CudaProbeSession::power_at_ceilings(const PowerMeter& meter) {
  const auto sample = [&](const char* load, double seconds, const std::function<void(int)>& launch, double flop,
                          double bytes) {
    report(std::string("power, ") + load, 0.95);
    const int launches = std::max(2, static_cast<int>(kBurstSeconds / seconds));
    Bursts bursts(stream_, launches, launch);
    const std::optional<SteadyPower> steady = meter.measure([&] { bursts(); });
    stream_.synchronise("a load for power");
    cuda::check_launch("a load for power");
    if (!steady) return;
    const double per_s = steady->bursts_per_s * launches;
    profile_->power.push_back(
        {load, 0, 0, steady->power, FlopPerSecond{flop * per_s}, BytesPerSecond{bytes * per_s}, steady->window});
  };
  const std::size_t whole = cold_.bytes() / 16 * 16;
  const cuda::DeviceBuffer sink(16);
  const auto read_bytes = static_cast<double>(whole);
  sample("read", read_bytes / profile_->read_bandwidth.value(),
         [&](int) {
           kernels::cuda::stream_read(cold_.as<void>(), whole, sink.as<std::uint32_t>(), {stream_.get(), false});
         },
         0.0, read_bytes);
  tune_square();
  const double flop = 2.0 * std::pow(static_cast<double>(kSquare), 3);
  sample("matrix", flop / profile_->matrix_rate.value(), [&](int i) { multiply_square(i); }, flop,
         3.0 * static_cast<double>(kSquare) * static_cast<double>(kSquare) * sizeof(kernels::cuda::Number));
}

bool cuda_idle_power(const CudaProbeRequest& request, const PowerMeter& meter, Profile& profile) {
  const auto report = [&](const std::string& what) {
    if (request.progress) request.progress(what, 0.0);
  };
  if (const std::string absence = meter.absence(); !absence.empty()) {
    report("power left out: " + absence);
    return false;
  }
  report("power, idle");
  const auto steady = meter.measure([] { std::this_thread::sleep_for(std::chrono::milliseconds(5)); });
  if (!steady) {
    report("power left out: too few readings");
    return false;
  }
  profile.power_limit = meter.limit();
  profile.power.push_back(
      {"idle", 0, 0, steady->power, FlopPerSecond{0}, BytesPerSecond{0}, steady->window});
  return true;
}

void cuda_loaded_power(const CudaProbeRequest& request, const PowerMeter& meter, Profile& profile) {
  {
    CudaProbeRequest bare = request;
    bare.groups.clear();
    CudaProbeSession session(bare, profile);
    session.prepare();
    session.power_at_ceilings(meter);
  }
  cuda_power_of_steps(request, meter, profile);
}

}  // namespace lindos::exec
