// SPDX-License-Identifier: Apache-2.0
// lindos validate training FILE: predicted against published step times, row by row and per source.
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "cli/options.h"
#include "cli/session.h"
#include "cli/table.h"
#include "cli/validation.h"
#include "scenarios/error.h"
#include "sim/training/published_prediction.h"
#include "sim/training/published_rows.h"
#include "sim/training/published_scenario.h"

namespace lindos::cli {

namespace {

struct TrainingVerb {
  CommonOptions common;
  std::string file;
};

// Rows that their source specifies fully; the others are reported apart.
constexpr const char* kStrictMetric = "step_time_s";
constexpr const char* kOtherMetric = "not_strict_step_time_s";

struct RowResult {
  const sim::PublishedRow* row = nullptr;
  sim::PredictedStep predicted;
  Seconds measured{0};
  std::vector<std::string> assumptions;
  [[nodiscard]] double error() const { return predicted.step / measured - 1.0; }
  [[nodiscard]] bool inside() const { return predicted.low <= measured && measured <= predicted.high; }
};

// A result, or why there is none.
std::variant<RowResult, std::string> predict_row(const sim::PublishedRow& row, const Catalogue& catalogue) {
  const auto measured = row.step_time();
  if (!measured) return "states neither step time nor tokens per second";
  auto mapped = sim::published_scenario(row, catalogue);
  if (const auto* miss = std::get_if<sim::PublishedMiss>(&mapped)) return miss->reason;
  auto& described = std::get<sim::PublishedScenario>(mapped);
  try {
    return RowResult{&row, sim::predict_step(described.scenario), *measured, std::move(described.assumptions)};
  } catch (const Error& error) {
    return std::string(error.what());
  }
}

nlohmann::ordered_json to_json(const RowResult& r) {
  return {{"row", r.row->where},
          {"id", r.row->id},
          {"group", r.row->group},
          {"strict", r.row->strict()},
          {"predicted_s", r.predicted.step.count()},
          {"measured_s", r.measured.count()},
          {"error", r.error()},
          {"low_s", r.predicted.low.count()},
          {"high_s", r.predicted.high.count()},
          {"inside", r.inside()},
          {"assumptions", r.assumptions}};
}

std::string render(const std::vector<RowResult>& results) {
  Table table({"row", "predicted", "published", "error", "80 % interval", ""});
  for (const RowResult& r : results) {
    table.add({r.row->id, fmt::format("{:.3f} s", r.predicted.step.count()), fmt::format("{:.3f} s", r.measured.count()),
               fmt::format("{:+.1f} %", 100.0 * r.error()),
               fmt::format("{:.3f} – {:.3f} s", r.predicted.low.count(), r.predicted.high.count()),
               r.inside() ? "inside" : "outside"});
  }
  return table.text();
}

void execute(const TrainingVerb& options) {
  const Catalogue catalogue = open_catalogue(options.common);
  const std::vector<sim::PublishedRow> rows = sim::read_published_rows(options.file);
  ValidationReport report;
  std::vector<RowResult> results;
  for (const sim::PublishedRow& row : rows) {
    auto outcome = predict_row(row, catalogue);
    if (auto* reason = std::get_if<std::string>(&outcome)) {
      report.misses.push_back({row.where, std::move(*reason)});
      continue;
    }
    results.push_back(std::move(std::get<RowResult>(outcome)));
    const RowResult& r = results.back();
    report.covered += 1;
    report.compare(row.strict() ? kStrictMetric : kOtherMetric, row.group,
                   {r.predicted.step.count(), r.measured.count(),
                    ComparedValue::Interval{r.predicted.low.count(), r.predicted.high.count()}});
  }
  if (options.common.format == Format::kJson) {
    nlohmann::ordered_json out = validation_json(report);
    out["results"] = nlohmann::ordered_json::array();
    for (const RowResult& r : results) out["results"].push_back(to_json(r));
    fmt::print("{}\n", out.dump(2));
    return;
  }
  if (!results.empty()) fmt::print("{}\n", render(results));
  fmt::print("{}", render_validation(report));
}

}  // namespace

void add_validate_training(CLI::App& validate) {
  auto options = std::make_shared<TrainingVerb>();
  CLI::App* verb = validate.add_subcommand("training", "predicted against published step times of training");
  verb->add_option("file", options->file, "published results, CSV (docs/training-accuracy.md)")->required()->type_name("FILE");
  add_common(*verb, options->common, false);
  verb->callback([options] { execute(*options); });
}

}  // namespace lindos::cli
