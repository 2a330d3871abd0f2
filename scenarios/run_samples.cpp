// SPDX-License-Identifier: Apache-2.0
#include "scenarios/run_samples.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

#include "scenarios/error.h"

namespace lindos {

namespace {

constexpr float kNone = std::numeric_limits<float>::quiet_NaN();

std::size_t place_of(std::string_view quantity) {
  const Metric* metric = find_sample_quantity(quantity);
  LINDOS_ASSERT(metric != nullptr, "a sampled quantity is registered");
  return static_cast<std::size_t>(metric - sample_quantity_registry().data());
}

}  // namespace

const std::vector<Metric>& sample_quantity_registry() {
  static const std::vector<Metric> kRegistry = {
      {"output_tokens_per_s", "sampled_output_tokens_per_s/1", "Output tokens per second", "token/s", "token/s", 1.0, 4,
       "output tokens of the window / its length", "How fast the run puts out tokens at the moment.", Better::kHigher,
       Worst::kMin, false},
      {"mean_output_tokens_per_s", "mean_output_tokens_per_s/1", "Output tokens per second so far", "token/s", "token/s",
       1.0, 4, "output tokens since this repeat began / the time since then",
       "What output_tokens_per_s comes to when the repeat ends: the figure that is predicted.", Better::kHigher,
       Worst::kMin, false},
      {"ttft_s", "sampled_ttft_s/1", "Time to first token", "s", "ms", 1e3, 4,
       "median of first token − arrival over the requests whose first token came in the window",
       "How long a request waited for its first token. Windows in which none came have no value.", Better::kLower,
       Worst::kMax, false},
      {"tpot_s", "sampled_tpot_s/1", "Time per output token", "s", "ms", 1e3, 4,
       "median of (last − first token) / (tokens − 1) over the requests that ended in the window",
       "How long each further token of a request took. Windows in which none ended have no value.", Better::kLower,
       Worst::kMax, false},
      {"running_requests", "running_requests/1", "Running requests", "1", "", 1.0, 1,
       "requests that hold KV blocks at the end of the window", "How many requests are worked on.", Better::kNeither,
       Worst::kMax, false},
      {"waiting_requests", "waiting_requests/1", "Waiting requests", "1", "", 1.0, 1,
       "requests that arrived and hold no KV blocks at the end of the window", "How many requests wait to be let in.",
       Better::kLower, Worst::kMax, false},
      {"kv_used", "kv_used/1", "KV blocks in use", "1", "%", 100.0, 3, "KV blocks of requests / KV blocks",
       "Share of the KV cache that requests hold. At 100 % new ones wait, and running ones may be put back.",
       Better::kNeither, Worst::kMax, false},
      {"cpu_busy", "cpu_busy/1", "CPU busy", "1", "%", 100.0, 3,
       "CPU time of the run's processes in the window / (its length × usable cores)",
       "Share of the machine's cores that the run's own processes kept busy.", Better::kNeither, Worst::kMin, false},
      {"resident_bytes", "resident_bytes/1", "Resident memory", "B", "GB", 1e-9, 4,
       "sum of the resident memory of the run's processes",
       "Main memory that the run's processes hold; pages that they share count for each.", Better::kLower, Worst::kMax,
       false},
      {"gpu_busy", "gpu_busy/1", "GPU busy", "1", "%", 100.0, 3, "utilisation that NVML reports",
       "Share of the driver's last period in which any kernel ran: not the share of its peak.", Better::kHigher,
       Worst::kMin, false},
      {"power_w", "sampled_power_w/1", "Power", "W", "W", 1.0, 4, "power that NVML reports",
       "What the device draws at the moment, or its mean of the last second where the driver has no other.",
       Better::kLower, Worst::kMax, false},
      {"sm_clock_hz", "sm_clock_hz/1", "SM clock", "Hz", "MHz", 1e-6, 4, "SM clock that NVML reports",
       "Clock of the streaming multiprocessors.", Better::kHigher, Worst::kMin, false},
      {"temperature_c", "temperature_c/1", "Temperature", "°C", "°C", 1.0, 3, "GPU temperature that NVML reports",
       "Temperature of the chip.", Better::kLower, Worst::kMax, false},
      {"device_memory_bytes", "device_memory_bytes/1", "Device memory in use", "B", "GB", 1e-9, 4,
       "memory in use that NVML reports", "Device memory that all processes and the driver hold.", Better::kLower,
       Worst::kMax, false},
      {"power_limited", "power_limited/1", "Clocks limited by power", "1", "", 1.0, 1,
       "1 while NVML names a power cap or brake as a reason for the clocks, else 0",
       "Whether a power limit holds the clocks down.", Better::kLower, Worst::kMax, false},
      {"heat_limited", "heat_limited/1", "Clocks limited by heat", "1", "", 1.0, 1,
       "1 while NVML names heat as a reason for the clocks, else 0", "Whether heat holds the clocks down.",
       Better::kLower, Worst::kMax, false},
      {"sent_bytes_per_s", "sent_bytes_per_s/1", "InfiniBand sent", "B/s", "GB/s", 1e-9, 4,
       "growth of port_xmit_data in the window × 4 B / its length", "What the port sent, by all processes.",
       Better::kNeither, Worst::kMax, false},
      {"received_bytes_per_s", "received_bytes_per_s/1", "InfiniBand received", "B/s", "GB/s", 1e-9, 4,
       "growth of port_rcv_data in the window × 4 B / its length", "What the port received, for all processes.",
       Better::kNeither, Worst::kMax, false},
      {"power_mean_w", "power_mean_w/1", "Mean power", "W", "MW", 1e-6, 4,
       "(idle power of the nodes + energy that the steps of the window add / its length + busy hosts) × PUE",
       "What the site, or a pool, draws at the meter in the mean of the window. Predicted.", Better::kLower, Worst::kMax,
       false},
      {"power_most_w", "power_most_w/1", "Highest power", "W", "MW", 1e-6, 4,
       "most of power_mean_w over the slices of the window",
       "What the site, or a pool, draws at the meter in the slice of the window that draws most. Predicted.",
       Better::kLower, Worst::kMax, false},
      {"power_cap_w", "power_cap_w/1", "Power cap", "W", "MW", 1e-6, 4, "site_cap of [power]",
       "What the site may draw at the meter.", Better::kNeither, Worst::kMax, false},
      {"device_limit_w", "device_limit_w/1", "Power limit of a device", "W", "W", 1.0, 4,
       "least of power_limit, device_cap, an even part of rack_cap and the share of dynamic power that site_cap leaves; of several "
       "groups the highest",
       "What each device of the pool may draw under its plan and the caps of the scenario.", Better::kNeither, Worst::kMax, false},
  };
  return kRegistry;
}

const Metric* find_sample_quantity(std::string_view name) {
  for (const Metric& metric : sample_quantity_registry()) {
    if (metric.name == name) return &metric;
  }
  return nullptr;
}

SampleLog::Column& SampleLog::column(const std::string& subject, const std::string& quantity) {
  for (Column& column : columns_) {
    if (column.subject == subject && column.quantity == quantity) return column;
  }
  if (std::find(subjects_.begin(), subjects_.end(), subject) == subjects_.end()) subjects_.push_back(subject);
  columns_.push_back({subject, quantity, {}, std::vector<float>(times_.size(), kNone)});
  return columns_.back();
}

void SampleLog::add(const RunSample& sample) {
  if ((phases_.empty() || phases_.back().name != sample.phase) && phases_.size() < kMostSamplePhases) {
    phases_.push_back({times_.empty() && in_point_ == 0 ? 0.0 : std::max(point_to_, 0.0), sample.phase});
  }
  if (in_point_ == 0) point_from_ = sample.t_s;
  point_to_ = sample.t_s;
  for (const SampledSubject& subject : sample.subjects) {
    for (const auto& [quantity, value] : subject.values) {
      Column& own = column(subject.name, quantity);
      own.sum += value;
      ++own.count;
    }
    for (const auto& [quantity, reason] : subject.absent) column(subject.name, quantity).absent = reason;
  }
  if (++in_point_ < per_point_) return;
  if (times_.size() == kMostSamplePoints) {
    halve();  // and the point that was made goes on
    return;
  }
  close_point();
}

void SampleLog::close_point() {
  if (in_point_ == 0) return;
  times_.push_back(static_cast<float>(0.5 * (point_from_ + point_to_)));
  for (Column& column : columns_) {
    column.values.push_back(column.count > 0 ? static_cast<float>(column.sum / static_cast<double>(column.count)) : kNone);
    column.sum = 0.0;
    column.count = 0;
  }
  in_point_ = 0;
}

void SampleLog::halve() {
  const std::size_t half = times_.size() / 2;
  for (std::size_t i = 0; i < half; ++i) times_[i] = 0.5F * (times_[2 * i] + times_[2 * i + 1]);
  times_.resize(half);
  for (Column& column : columns_) {
    for (std::size_t i = 0; i < half; ++i) {
      const float a = column.values[2 * i];
      const float b = column.values[2 * i + 1];
      column.values[i] = std::isnan(a) ? b : std::isnan(b) ? a : 0.5F * (a + b);
    }
    column.values.resize(half);
  }
  per_point_ *= 2;
}

RunSamples SampleLog::samples() const {
  SampleLog whole = *this;
  if (in_point_ > 0 && times_.size() == kMostSamplePoints) whole.halve();
  whole.close_point();
  RunSamples out;
  out.phases = whole.phases_;
  for (const Column& column : whole.columns_) {
    SampleSeries series{column.subject, column.quantity, {}, {}};
    const bool known = std::any_of(column.values.begin(), column.values.end(), [](float v) { return !std::isnan(v); });
    if (!known) series.absent = column.absent.empty() ? "no window had a value" : column.absent;
    for (std::size_t i = 0; known && i < whole.times_.size(); ++i)
      series.points.push_back({whole.times_[i], column.values[i]});
    out.series.push_back(std::move(series));
  }
  const auto order = [&](const SampleSeries& series) {
    return std::pair(std::find(subjects_.begin(), subjects_.end(), series.subject), place_of(series.quantity));
  };
  std::sort(out.series.begin(), out.series.end(),
            [&](const SampleSeries& a, const SampleSeries& b) { return order(a) < order(b); });
  return out;
}

void validate_run_samples(const RunSamples& samples, const std::string& where) {
  const auto refuse = [&](const std::string& what) { throw Error(ErrorKind::kInput, where, what); };
  if (samples.phases.size() > kMostSamplePhases)
    refuse("/samples/phases: at most " + std::to_string(kMostSamplePhases) + ", saw " +
           std::to_string(samples.phases.size()));
  for (const SamplePhase& phase : samples.phases) {
    if (!std::isfinite(phase.t_s) || phase.t_s < 0.0) refuse("/samples/phases: expected a time from 0 on");
  }
  for (std::size_t i = 0; i < samples.series.size(); ++i) {
    const SampleSeries& series = samples.series[i];
    const std::string pointer = "/samples/series/" + std::to_string(i);
    if (find_sample_quantity(series.quantity) == nullptr)
      refuse(pointer + "/quantity: \"" + series.quantity + "\" is not sampled by this build");
    if (series.points.empty() == series.absent.empty())
      refuse(pointer + ": expected points, or the reason why there are none");
    if (series.points.size() > kMostSamplePoints)
      refuse(pointer + "/points: at most " + std::to_string(kMostSamplePoints) + ", saw " +
             std::to_string(series.points.size()));
    float before = 0.0F;
    for (const SamplePoint& point : series.points) {
      if (!std::isfinite(point.t_s) || point.t_s < before) refuse(pointer + "/points: times go back or are not finite");
      if (std::isinf(point.value)) refuse(pointer + "/points: a value is not finite");
      before = point.t_s;
    }
  }
}

std::string to_json(const RunSamples& samples, int indent) {
  nlohmann::ordered_json json{{"phases", nlohmann::ordered_json::array()}, {"series", nlohmann::ordered_json::array()}};
  for (const SamplePhase& phase : samples.phases) json["phases"].push_back({{"t_s", phase.t_s}, {"name", phase.name}});
  for (const SampleSeries& series : samples.series) {
    const Metric& quantity = *find_sample_quantity(series.quantity);
    nlohmann::ordered_json own{{"subject", series.subject},
                               {"quantity", series.quantity},
                               {"definition", quantity.definition},
                               {"unit", quantity.unit}};
    if (series.points.empty()) {
      own["absent"] = series.absent;
    } else {
      own["points"] = nlohmann::ordered_json::array();
      for (const SamplePoint& point : series.points) {
        nlohmann::ordered_json value = nullptr;
        if (!std::isnan(point.value)) value = static_cast<double>(point.value);
        own["points"].push_back({static_cast<double>(point.t_s), value});
      }
    }
    json["series"].push_back(std::move(own));
  }
  return json.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace lindos
