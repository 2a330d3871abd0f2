// SPDX-License-Identifier: Apache-2.0
// lindos validate serving FILE: predicted against measured time to first token and per output token, row by row and per
// device, model, number format and engine.
#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/options.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "cli/signals.h"
#include "cli/validation.h"
#include "data/catalogue.h"
#include "scenarios/error.h"
#include "sim/serving/engine_class.h"
#include "sim/serving/measured_prediction.h"
#include "sim/serving/measured_rows.h"
#include "sim/serving/measured_scenario.h"
#include "sim/workers.h"

namespace lindos::cli {

namespace {

struct ServingVerb {
  CommonOptions common;
  std::string file;
};

struct PointResult {
  const sim::MeasuredRow* row = nullptr;
  sim::PredictedPoint predicted;
  sim::PointKind kind = sim::PointKind::kAggregated;
  bool fitted = false;
  std::vector<std::string> assumptions;
};

// Before the names of metrics.
const char* prefix_of(sim::PointKind kind) {
  switch (kind) {
    case sim::PointKind::kAggregated:
      return "";
    case sim::PointKind::kDisaggregated:
      return "disaggregated_";
    case sim::PointKind::kIncomplete:
      return "incomplete_";
  }
  return "";
}

sim::PointKind kind_of(const sim::MeasuredRow& row, const sim::MeasuredScenario& described) {
  if (described.incomplete) return sim::PointKind::kIncomplete;
  return row.disaggregated() ? sim::PointKind::kDisaggregated : sim::PointKind::kAggregated;
}

using Profiles = std::map<std::string, Profile>;

// Distilled profiles of all devices of the catalogue that have one.
Profiles profiles_of(const CommonOptions& options, const Catalogue& catalogue) {
  Profiles profiles;
  for (const auto& [name, device] : catalogue.devices) {
    const std::filesystem::path file = distilled_profile(catalogue_folder(options), name);
    if (file.empty()) continue;
    profiles.emplace(name, sim::kernels_only(profile_from_json(read_file(file), file.string())));
  }
  return profiles;
}

// A result, or why there is none.
std::variant<PointResult, std::string> predict_row(const sim::MeasuredRow& row, const Catalogue& catalogue,
                                                   const Profiles& profiles) {
  if (!row.ttft && !row.tpot) return "states neither time to first token nor per output token";
  auto mapped = sim::measured_scenario(row, catalogue);
  if (const auto* miss = std::get_if<sim::MeasuredMiss>(&mapped)) return miss->reason;
  auto& described = std::get<sim::MeasuredScenario>(mapped);
  const Scenario& scenario = described.parts.front().scenario;
  const bool fitted =
      sim::is_fitted_on(scenario.model.name, scenario.devices.begin()->first, described.engine.name);
  try {
    return PointResult{&row, sim::predict_point(described, profiles), kind_of(row, described), fitted,
                       std::move(described.assumptions)};
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInfeasible) throw;
    return "does not fit: " + std::string(error.what());
  }
}

ComparedValue compared(sim::PointMetric metric, sim::PointKind kind, Seconds predicted, Seconds measured) {
  const sim::ErrorBand band = sim::error_band(metric, kind);
  return {predicted.count(), measured.count(),
          ComparedValue::Interval{predicted.count() * band.low, predicted.count() * band.high}};
}

void compare(ValidationReport& report, const PointResult& result) {
  const sim::MeasuredRow& row = *result.row;
  const std::string mode = prefix_of(result.kind);
  const auto add = [&](sim::PointMetric metric, const std::string& name, Seconds predicted,
                       const std::optional<Seconds>& measured) {
    if (!measured || predicted <= Seconds{0}) return;
    const ComparedValue value = compared(metric, result.kind, predicted, *measured);
    report.compare(mode + name, row.family(), value);
    if (!result.fitted) report.compare("held_out_" + mode + name, "no constant fitted on them", value);
  };
  add(sim::PointMetric::kTtft, "ttft_s", result.predicted.ttft, row.ttft);
  add(sim::PointMetric::kTpot, "tpot_s", result.predicted.tpot, row.tpot);
}

nlohmann::ordered_json to_json(const PointResult& result) {
  const sim::MeasuredRow& row = *result.row;
  nlohmann::ordered_json out{{"row", row.where},
                             {"group", row.family()},
                             {"disaggregated", row.disaggregated()},
                             {"incomplete", result.kind == sim::PointKind::kIncomplete},
                             {"held_out", !result.fitted},
                             {"assumptions", result.assumptions}};
  const auto metric = [&](const char* name, sim::PointMetric which, Seconds predicted,
                          const std::optional<Seconds>& measured) {
    if (!measured) return;
    const ComparedValue value = compared(which, result.kind, predicted, *measured);
    out[name] = {{"predicted", value.predicted},
                 {"measured", value.measured},
                 {"low", value.interval->low},
                 {"high", value.interval->high}};
  };
  metric("ttft_s", sim::PointMetric::kTtft, result.predicted.ttft, row.ttft);
  metric("tpot_s", sim::PointMetric::kTpot, result.predicted.tpot, row.tpot);
  return out;
}

void execute(const ServingVerb& options) {
  Progress progress(options.common.progress, "validate serving");
  const Catalogue catalogue = open_catalogue(options.common);
  const std::vector<sim::MeasuredRow> rows = sim::read_measured_rows(options.file);
  const Profiles profiles = profiles_of(options.common, catalogue);
  std::vector<std::variant<PointResult, std::string>> outcomes(rows.size());
  sim::run_workers(
      sim::workers_for(rows.size()), rows.size(),
      [&](std::size_t, std::size_t i) {
        if (cancel_requested()) throw Error(ErrorKind::kCancelled, "", "cancelled");
        outcomes[i] = predict_row(rows[i], catalogue, profiles);
      },
      [&](double share) { progress.update("rows", share); });
  ValidationReport report;
  std::vector<PointResult> results;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (auto* reason = std::get_if<std::string>(&outcomes[i])) {
      report.misses.push_back({rows[i].where, std::move(*reason)});
      continue;
    }
    results.push_back(std::move(std::get<PointResult>(outcomes[i])));
    report.covered += 1;
    compare(report, results.back());
  }
  if (options.common.format == Format::kJson) {
    nlohmann::ordered_json out = validation_json(report);
    out["results"] = nlohmann::ordered_json::array();
    for (const PointResult& r : results) out["results"].push_back(to_json(r));
    fmt::print("{}\n", out.dump(2));
    return;
  }
  fmt::print("{}", render_validation(report));
}

}  // namespace

void add_validate_serving(CLI::App& validate) {
  auto options = std::make_shared<ServingVerb>();
  CLI::App* verb =
      validate.add_subcommand("serving", "predicted against measured latency of serving engines, per device and model");
  verb->add_option("file", options->file, "measured points, CSV (docs/serving-accuracy.md)")->required()->type_name("FILE");
  add_common(*verb, options->common, false);
  verb->callback([options] { execute(*options); });
}

}  // namespace lindos::cli
