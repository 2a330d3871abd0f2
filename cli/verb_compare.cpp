// SPDX-License-Identifier: Apache-2.0
// lindos compare [RUN …]: stored predictions beside stored measurements.
#include <memory>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/render.h"
#include "cli/session.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "data/store/store.h"
#include "scenarios/error.h"

namespace lindos::cli {

namespace {

struct CompareVerb {
  CommonOptions common;
  std::vector<std::int64_t> runs;
  bool list = false;
};

std::string list_runs(const data::Store& store) {
  Table table({"run", "kind", "scenario", "plan", "fidelity", "started"});
  for (const data::RunSummary& run : store.list({})) {
    table.add({std::to_string(run.id), run.source == RunSource::kPredicted ? "predicted" : "measured", run.scenario_name,
               run.plan_name, run.fidelity, run.started_utc});
  }
  return table.text();
}

std::string list_runs_json(const data::Store& store) {
  auto rows = nlohmann::ordered_json::array();
  for (const data::RunSummary& run : store.list({})) {
    rows.push_back({{"run", run.id},
                    {"source", name_of(run.source)},
                    {"scenario_name", run.scenario_name},
                    {"scenario_digest", run.scenario_digest},
                    {"plan_name", run.plan_name},
                    {"plan_digest", run.plan_digest},
                    {"fidelity", run.fidelity},
                    {"started_utc", run.started_utc}});
  }
  return rows.dump(2) + "\n";
}

void execute(const CompareVerb& options) {
  if (options.runs.size() > 2) {
    throw Error(ErrorKind::kUsage, "", fmt::format("compare takes up to two runs, not {}", options.runs.size()));
  }
  const std::filesystem::path path = options.common.db.empty() ? default_db_path() : options.common.db;
  const data::Store store = data::Store::open(path, data::Store::Mode::kReadOnly);
  if (options.list) {
    fmt::print("{}", options.common.format == Format::kJson ? list_runs_json(store) : list_runs(store));
    return;
  }
  data::RunPair pair;
  if (options.runs.size() == 2) {
    pair = {options.runs[0], options.runs[1]};
  } else {
    std::optional<data::RunPair> found;
    if (options.runs.empty()) {
      found = store.find_pair();
      if (!found) throw Error(ErrorKind::kInput, path.string(), "holds no measured run with a prediction; `lindos twin SCENARIO` makes both");
    } else {
      const RunRecord record = store.load(options.runs[0]);
      found = store.find_pair(record.scenario_digest, record.plan_digest);
      if (!found) throw Error(ErrorKind::kInput, path.string(), fmt::format("run {} has no partner of the same scenario and plan", options.runs[0]));
      (record.source == RunSource::kPredicted ? found->predicted : found->measured) = options.runs[0];
    }
    pair = *found;
  }
  RunRecord a = store.load(pair.predicted);
  RunRecord b = store.load(pair.measured);
  if (a.source == RunSource::kMeasured && b.source == RunSource::kPredicted) std::swap(a, b);
  fmt::print("{}\n", options.common.format == Format::kJson ? comparison_json(a, b) : render_comparison(a, b));
}

}  // namespace

void add_compare(CLI::App& app) {
  auto options = std::make_shared<CompareVerb>();
  CLI::App* verb = app.add_subcommand("compare", "predicted against measured, from the store");
  verb->add_option("runs", options->runs, "run numbers: none = the latest pair, one = it and its partner, two = these")
      ->type_name("RUN")
      ->check([](const std::string& word) {
        constexpr std::size_t kMostDigits = 18;  // fits 64 bits
        const bool number = !word.empty() && word.size() <= kMostDigits &&
                            word.find_first_not_of("0123456789") == std::string::npos;
        return number ? std::string() : "expected the number of a run (`lindos compare --list`), saw \"" + word + "\"";
      });
  verb->add_flag("--list", options->list, "list the stored runs");
  add_common(*verb, options->common, true);
  verb->callback([options] { execute(*options); });
}

}  // namespace lindos::cli
