// SPDX-License-Identifier: Apache-2.0
#include "cli/expected_what_if.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "scenarios/error.h"
#include "scenarios/json_reader.h"
#include "scenarios/text_file.h"

namespace lindos::cli {

namespace {

constexpr const char* kSlowdown = "slowdown";
constexpr const char* kStepTime = "what_if_step_time_s";

using Computed = std::map<std::string, double>;

class Comparison {
 public:
  Comparison(const std::filesystem::path& file, const sim::StragglerTrace& trace, const sim::WhatIf& result,
             ValidationReport& report)
      : where_(file.string()),
        document_(parse_json(read_text_file(file, ""), where_)),
        root_(document_, "", where_),
        trace_(trace),
        result_(result),
        report_(report) {}

  std::vector<ExpectedValue> run() {
    if (root_.has("blocking_slowdown")) {
      compare_result();
    } else if (root_.has("Mw")) {
      compare_fix("M_W", "Mw", result_.worst_ranks_effect);
    } else if (root_.has("Ms")) {
      compare_fix("M_S", "Ms", result_.last_stage_effect);
    } else {
      root_.fail("", "expected blocking_slowdown (result-*.json), Mw (mw-*.json) or Ms (ms-*.json)");
    }
    return std::move(values_);
  }

 private:
  void compare_result() {
    const Computed job = {{"blocking_slowdown", result_.slowdown}, {"launch_slowdown", result_.launch_slowdown}};
    for (const auto& [key, value] : job) {
      const double expected = root_.number(key, 0.0);
      add(kSlowdown, "job", key, expected, value);
      values_.push_back({"job", key, expected, value});
    }
    compare_group("blocking_decompose_by_dp_rank", kSlowdown, "dp_rank", slowdowns(result_.by_data_rank), true);
    compare_group("blocking_decompose_by_stage", kSlowdown, "stage", slowdowns(result_.by_stage), true);
    compare_group("blocking_decompose_by_optype", kSlowdown, "optype", slowdowns(result_.by_op_type), true);
    compare_group("blocking_step_slowdown", kSlowdown, "step", step_ratios(), false);
    compare_group("step_t_base", kStepTime, "recorded", by_step(result_.recorded), false);
    compare_group("step_t_nodelay", kStepTime, "no_delay", by_step(result_.no_delay), false);
    compare_group("step_t_noblk", kStepTime, "ideal", by_step(result_.ideal), false);
  }

  void compare_fix(const std::string& name, const std::string& key, const sim::WhatIfEffect& effect) {
    const Computed seconds = {{"tori", result_.mean_no_delay.count()},
                              {"tideal", result_.mean_ideal.count()},
                              {"trem", effect.without.count()},
                              {"tadd", effect.only.count()}};
    for (const auto& [time, value] : seconds) add(kStepTime, name, time, root_.number(time, 0.0), value);
    if (!effect.recovery) {
      miss("/" + key, "the trace shows no straggling, so no share of it can be recovered");
      return;
    }
    values_.push_back({"recovery", name, root_.number(key), *effect.recovery});
  }

  // An object of values by name; null where the analyser left the decomposition out.
  void compare_group(const std::string& key, const std::string& metric, const std::string& family,
                     const Computed& computed, bool list) {
    if (!root_.optional(key) || document_.at(key).is_null()) return;
    JsonObject group = root_.object(key);
    for (const std::string& name : group.keys()) {
      const double expected = group.number(name, 0.0);
      const auto found = computed.find(name);
      if (found == computed.end()) {
        miss(fmt::format("/{}/{}", key, name), "the trace has no such " + family);
        continue;
      }
      add(metric, family, fmt::format("{}/{}", key, name), expected, found->second);
      if (list) values_.push_back({family, name, expected, found->second});
    }
    for (const auto& [name, value] : computed) {
      if (!group.has(name)) miss(fmt::format("/{}/{}", key, name), "not among the expected values");
    }
  }

  void add(const std::string& metric, const std::string& family, const std::string& pointer, double expected,
           double computed) {
    if (expected > 0.0) {
      report_.compare(metric, family, {computed, expected, {}});
    } else {
      miss("/" + pointer, "expected value is 0, so that it has no relative error");
    }
  }

  void miss(const std::string& pointer, const std::string& reason) {
    report_.misses.push_back({fmt::format("{}: {}", where_, pointer), reason});
  }

  static Computed slowdowns(const std::vector<sim::NamedEffect>& effects) {
    Computed out;
    for (const sim::NamedEffect& e : effects) out[e.name] = e.effect.slowdown;
    return out;
  }

  [[nodiscard]] Computed by_step(const std::vector<Seconds>& steps) const {
    Computed out;
    for (std::size_t i = 0; i < steps.size(); ++i) out[std::to_string(trace_.steps[i])] = steps[i].count();
    return out;
  }

  [[nodiscard]] Computed step_ratios() const {
    Computed out = by_step(result_.no_delay);
    for (const auto& [step, ideal] : by_step(result_.ideal)) {
      if (ideal > 0.0) out[step] /= ideal;
    }
    return out;
  }

  std::string where_;
  nlohmann::json document_;
  JsonObject root_;
  const sim::StragglerTrace& trace_;
  const sim::WhatIf& result_;
  ValidationReport& report_;
  std::vector<ExpectedValue> values_;
};

}  // namespace

std::vector<ExpectedValue> compare_with_expected(const std::filesystem::path& file, const sim::StragglerTrace& trace,
                                                 const sim::WhatIf& result, ValidationReport& report) {
  return Comparison(file, trace, result, report).run();
}

}  // namespace lindos::cli
