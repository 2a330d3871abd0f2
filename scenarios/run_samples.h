// SPDX-License-Identifier: Apache-2.0
// What a measured run said of itself while it ran, about twice a second: tokens, latencies, requests, memory of the
// process, and what its GPUs and links report; and what a prediction says over time: the power of site and pools. One
// sample at a time on the way to who watches; as series, bounded, with the run's record. What a machine does not have is
// absent with its reason, never zero. Plain values.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/metrics.h"

namespace lindos {

// One moment of one subject: "run", "gpu 0", "mlx5_0 port 1".
struct SampledSubject {
  std::string name;
  std::map<std::string, double> values;        // by name in sample_quantity_registry(), SI units
  std::map<std::string, std::string> absent;   // quantity → why this subject has none
  bool operator==(const SampledSubject&) const = default;
};

struct RunSample {
  double t_s = 0.0;      // end of the window, since the first measured run began
  std::string phase;     // "run 1 of 3"
  std::vector<SampledSubject> subjects;
  bool operator==(const RunSample&) const = default;
};

// NaN: nothing to say in this window (no request ended, say), or no sample.
struct SamplePoint {
  float t_s = 0.0F;
  float value = 0.0F;
};

struct SampleSeries {
  std::string subject;
  std::string quantity;
  std::string absent;               // why there are no points; empty: there are
  std::vector<SamplePoint> points;  // by time
};

// From when on which of the repeats ran.
struct SamplePhase {
  double t_s = 0.0;
  std::string name;
  bool operator==(const SamplePhase&) const = default;
};

struct RunSamples {
  std::vector<SampleSeries> series;  // by subject in order of appearance, then by quantity in order of the registry
  std::vector<SamplePhase> phases;
};

// The sampled quantities, as the registry of metrics defines a metric.
[[nodiscard]] const std::vector<Metric>& sample_quantity_registry();
[[nodiscard]] const Metric* find_sample_quantity(std::string_view name);

// So many points a series holds at most: five minutes at two a second.
inline constexpr std::size_t kMostSamplePoints = 600;
inline constexpr std::size_t kMostSamplePhases = 64;

// Collects samples into series of bounded length: when they are full, neighbours become their mean and from then on as
// many samples make one point.
class SampleLog {
 public:
  void add(const RunSample& sample);
  [[nodiscard]] RunSamples samples() const;

 private:
  struct Column {
    std::string subject;
    std::string quantity;
    std::string absent;
    std::vector<float> values;  // one per time; NaN: none
    double sum = 0.0;           // of the point that is being made
    std::size_t count = 0;
  };
  Column& column(const std::string& subject, const std::string& quantity);
  void close_point();
  void halve();

  std::vector<float> times_;
  std::vector<Column> columns_;
  std::vector<SamplePhase> phases_;
  std::vector<std::string> subjects_;  // in order of appearance
  double point_from_ = 0.0;  // time of the first sample of the point that is being made
  double point_to_ = 0.0;
  std::size_t in_point_ = 0;
  std::size_t per_point_ = 1;
};

// Throws Error{kInput} at `where`: quantities of another build, points and a reason at once, too many points, times that
// go back or are not finite.
void validate_run_samples(const RunSamples& samples, const std::string& where);

// {"phases": [{"t_s", "name"}], "series": [{"subject", "quantity", "definition", "unit", "points": [[t_s, value|null]]} or
// with "absent" instead of points]}.
[[nodiscard]] std::string to_json(const RunSamples& samples, int indent = 2);

}  // namespace lindos
