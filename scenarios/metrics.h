// SPDX-License-Identifier: Apache-2.0
// The registry of metrics: name, unit, formula, one plain sentence. CLI, store, GUI and docs read it; a
// metric that is not here does not exist. Names are persistent; a changed formula gets a new definition id.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lindos {

enum class Better { kLower, kHigher, kNeither };
enum class Worst { kMax, kMin, kAbs };

struct Metric {
  std::string_view name;        // "tpot_s"
  std::string_view definition;  // "tpot_s/1"
  std::string_view label;       // "Time per output token"
  std::string_view unit;        // SI: "s", "B", "W", "1", "token/s"
  std::string_view display;     // display unit: "ms"
  double display_scale;         // display = value × scale
  int digits;                   // significant digits shown
  std::string_view formula;
  std::string_view sentence;
  Better better;
  Worst worst;
  bool log_scale;
};

[[nodiscard]] const std::vector<Metric>& metric_registry();
[[nodiscard]] const Metric* find_metric(std::string_view name);
// Throws Error{kInput} with the nearest name.
[[nodiscard]] const Metric& metric_or_throw(std::string_view name);

// For people: display unit, `digits` significant digits, but never fewer than the digits before the point;
// thousands separated: "4.21 ms", "1,234 token/s", "37.5 %". `value` is in SI units.
[[nodiscard]] std::string format_value(const Metric& metric, double value);
// The reference page docs/metrics.md; a test holds the file to it.
[[nodiscard]] std::string metrics_markdown();

}  // namespace lindos
