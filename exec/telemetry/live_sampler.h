// SPDX-License-Identifier: Apache-2.0
// Watches a run from a thread of its own: twice a second it takes what the driver counted, and reads the processes, the
// GPUs and the InfiniBand ports, into one RunSample. Between start() and stop(), once per repeat; time goes on over
// the repeats. A repeat ends with what was counted since the last sample.
//
//   LiveSampler sampler({&counters, devices, cores, processes_of_run(mpi)}, [&](const RunSample& s) { … });
//   sampler.start("run 1 of 3");  run();  sampler.stop();
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "exec/runner/live_counters.h"
#include "exec/telemetry/device_telemetry.h"
#include "exec/telemetry/infiniband.h"
#include "exec/telemetry/process_usage.h"
#include "scenarios/run_samples.h"

namespace lindos::exec {

struct LiveSources {
  LiveCounters* counters = nullptr;          // borrowed, as the devices
  const DeviceTelemetry* devices = nullptr;  // nullptr: the run computes on the CPU
  int cores = 1;
  std::vector<int> processes;
  std::filesystem::path infiniband = "/sys/class/infiniband";
};

class LiveSampler {
 public:
  // Called from the sampler's thread, and by stop() from its caller's; never by both at once. Must not throw.
  using Sink = std::function<void(const RunSample&)>;

  // REQUIRES: counters and sink are set; period > 0.
  LiveSampler(LiveSources sources, Sink sink, Seconds period = Seconds{0.5});
  // Stops if still running, without a last sample.
  ~LiveSampler() = default;
  LiveSampler(const LiveSampler&) = delete;
  LiveSampler& operator=(const LiveSampler&) = delete;

  void start(const std::string& phase);  // REQUIRES: not running
  void stop();                           // REQUIRES: running

 private:
  using Clock = std::chrono::steady_clock;
  void loop(const std::stop_token& stopped);
  void sample();
  [[nodiscard]] SampledSubject of_run(Seconds window, Seconds in_repeat);
  void add_devices(RunSample& sample) const;
  void add_ports(RunSample& sample, Seconds window);

  LiveSources sources_;
  Sink sink_;
  Seconds period_;
  std::optional<Clock::time_point> began_;  // the first start
  // Touched by one thread at a time: start and join hand them over.
  std::string phase_;
  Clock::time_point repeat_began_, last_;
  bool sampled_ = false;  // in this repeat
  std::optional<ProcessUsage> usage_;
  std::vector<InfinibandPort> ports_;
  std::jthread thread_;
};

}  // namespace lindos::exec
