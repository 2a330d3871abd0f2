// SPDX-License-Identifier: Apache-2.0
#include "exec/telemetry/live_sampler.h"

#include <condition_variable>
#include <mutex>
#include <utility>

#include "scenarios/error.h"
#include "scenarios/timeline.h"

namespace lindos::exec {

namespace {

// What a device says, by quantity; what it does not say, with the reason.
template <class Value, class Convert>
void put(SampledSubject& subject, const char* quantity, const std::optional<Value>& value, const DeviceReading& reading,
         const char* field, const Convert& convert) {
  if (value) {
    subject.values[quantity] = convert(*value);
  } else if (const auto why = reading.unavailable.find(field); why != reading.unavailable.end()) {
    subject.absent[quantity] = why->second;
  } else {
    subject.absent[quantity] = "not reported";
  }
}

}  // namespace

LiveSampler::LiveSampler(LiveSources sources, Sink sink, Seconds period)
    : sources_(std::move(sources)), sink_(std::move(sink)), period_(period) {
  LINDOS_ASSERT(sources_.counters != nullptr && sink_ != nullptr, "a sampler has a source and a sink");
  LINDOS_ASSERT(period_ > Seconds{0}, "a sampling period is positive");
}

void LiveSampler::start(const std::string& phase) {
  LINDOS_ASSERT(!thread_.joinable(), "the sampler runs already");
  phase_ = phase;
  sampled_ = false;
  repeat_began_ = last_ = Clock::now();
  if (!began_) began_ = repeat_began_;
  usage_ = read_processes(sources_.processes);
  auto ports = read_infiniband(sources_.infiniband);
  if (auto* found = std::get_if<std::vector<InfinibandPort>>(&ports)) ports_ = std::move(*found);
  thread_ = std::jthread([this](const std::stop_token& stopped) { loop(stopped); });
}

void LiveSampler::stop() {
  LINDOS_ASSERT(thread_.joinable(), "the sampler does not run");
  thread_.request_stop();
  thread_.join();
  // Rates over a sliver of a window say nothing.
  if (!sampled_ || Clock::now() - last_ > period_ * 0.2) sample();
}

void LiveSampler::loop(const std::stop_token& stopped) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  const auto period = std::chrono::duration_cast<Clock::duration>(period_);
  auto due = Clock::now() + period;
  while (true) {
    wake.wait_until(lock, stopped, due, [] { return false; });
    if (stopped.stop_requested()) return;
    sample();
    // From the plan, not from now; missed samples are dropped.
    const auto now = Clock::now();
    do {
      due += period;
    } while (due <= now);
  }
}

void LiveSampler::sample() {
  const Clock::time_point now = Clock::now();
  const Seconds window = now - last_;
  if (window <= Seconds{0}) return;
  last_ = now;
  sampled_ = true;
  RunSample sample;
  sample.t_s = Seconds(now - *began_).count();
  sample.phase = phase_;
  sample.subjects.push_back(of_run(window, now - repeat_began_));
  add_devices(sample);
  add_ports(sample, window);
  sink_(sample);
}

SampledSubject LiveSampler::of_run(Seconds window, Seconds in_repeat) {
  const LiveWindow counted = sources_.counters->take();
  SampledSubject run{"run", {}, {}};
  auto& values = run.values;
  values["output_tokens_per_s"] = static_cast<double>(counted.output_tokens) / window.count();
  values["mean_output_tokens_per_s"] = static_cast<double>(counted.total_output_tokens) / in_repeat.count();
  if (!counted.ttft_s.empty()) values["ttft_s"] = quantile(counted.ttft_s, 0.5);
  if (!counted.tpot_s.empty()) values["tpot_s"] = quantile(counted.tpot_s, 0.5);
  const scheduler::Snapshot& scheduler = counted.scheduler;
  values["running_requests"] = static_cast<double>(scheduler.running);
  values["waiting_requests"] = static_cast<double>(scheduler.waiting);
  if (scheduler.blocks_total > 0)
    values["kv_used"] = static_cast<double>(scheduler.blocks_used) / static_cast<double>(scheduler.blocks_total);
  const std::optional<ProcessUsage> usage = read_processes(sources_.processes);
  if (usage) values["resident_bytes"] = usage->resident.value();
  if (usage && usage_)
    values["cpu_busy"] = (usage->cpu - usage_->cpu).count() / (window.count() * static_cast<double>(sources_.cores));
  if (!usage) run.absent["cpu_busy"] = run.absent["resident_bytes"] = "/proc says nothing of a process of the run";
  usage_ = usage;
  return run;
}

void LiveSampler::add_devices(RunSample& sample) const {
  if (sources_.devices == nullptr) {
    SampledSubject none{"gpu", {}, {}};
    for (const char* quantity : {"gpu_busy", "power_w", "sm_clock_hz", "temperature_c", "device_memory_bytes"})
      none.absent[quantity] = "the run computes on the CPU";
    sample.subjects.push_back(std::move(none));
    return;
  }
  const auto as_is = [](auto value) { return static_cast<double>(value); };
  const auto in_si = [](auto value) { return value.value(); };
  for (std::size_t i = 0; i < sources_.devices->devices.size(); ++i) {
    const DeviceReading reading = sources_.devices->devices[i]();
    SampledSubject gpu{"gpu " + std::to_string(i), {}, {}};
    put(gpu, "gpu_busy", reading.utilisation, reading, "utilisation", as_is);
    put(gpu, "power_w", reading.power, reading, "power", in_si);
    put(gpu, "sm_clock_hz", reading.sm_clock, reading, "sm_clock", in_si);
    put(gpu, "temperature_c", reading.temperature_c, reading, "temperature_c", as_is);
    put(gpu, "device_memory_bytes", reading.memory_used, reading, "memory_used", in_si);
    const auto limited = [&](ClockLoss by) {
      return [by](const ClockReasons& reasons) { return loss_of(reasons) == by ? 1.0 : 0.0; };
    };
    put(gpu, "power_limited", reading.clock_reasons, reading, "clock_reasons", limited(ClockLoss::kPowerCap));
    put(gpu, "heat_limited", reading.clock_reasons, reading, "clock_reasons", limited(ClockLoss::kThermal));
    sample.subjects.push_back(std::move(gpu));
  }
}

void LiveSampler::add_ports(RunSample& sample, Seconds window) {
  auto read = read_infiniband(sources_.infiniband);
  auto* ports = std::get_if<std::vector<InfinibandPort>>(&read);
  if (ports == nullptr) {
    SampledSubject none{"InfiniBand", {}, {}};
    none.absent["sent_bytes_per_s"] = none.absent["received_bytes_per_s"] = std::get<Unavailable>(read).reason;
    sample.subjects.push_back(std::move(none));
    return;
  }
  for (const InfinibandPort& after : *ports) {
    SampledSubject subject{after.device + " port " + std::to_string(after.port), {}, {}};
    for (const InfinibandPort& before : ports_) {
      if (before.device != after.device || before.port != after.port) continue;
      const InfinibandTraffic traffic = traffic_between(before, after);
      const auto rate = [&](const char* quantity, const std::optional<Bytes>& moved, const char* file) {
        if (moved) {
          subject.values[quantity] = moved->value() / window.count();
        } else {
          const auto why = traffic.unavailable.find(file);
          subject.absent[quantity] = why != traffic.unavailable.end() ? why->second : "not reported";
        }
      };
      rate("sent_bytes_per_s", traffic.sent, "port_xmit_data");
      rate("received_bytes_per_s", traffic.received, "port_rcv_data");
    }
    sample.subjects.push_back(std::move(subject));
  }
  ports_ = std::move(*ports);
}

}  // namespace lindos::exec
