// SPDX-License-Identifier: Apache-2.0
// lindos validate stragglers TRACE: what slowed a recorded training job, and which fix recovers how much.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "cli/expected_what_if.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/signals.h"
#include "cli/table.h"
#include "cli/validation.h"
#include "scenarios/error.h"
#include "scenarios/text_file.h"
#include "scenarios/text_layout.h"
#include "sim/stragglers/trace_meta.h"
#include "sim/stragglers/what_if.h"

namespace lindos::cli {

namespace {

struct StragglersVerb {
  CommonOptions common;
  std::string trace;
  std::string meta;
  std::vector<std::string> expected;
  int data = 0;  // 0: not given
  int pipeline = 0;
  int virtual_stages = 0;
};

// Rows of one kind that a table shows; JSON has all.
constexpr std::size_t kShownRows = 8;

sim::TraceDegrees degrees_of(const StragglersVerb& options) {
  const auto found = options.meta.empty() ? sim::find_trace_meta(options.trace) : std::filesystem::path(options.meta);
  sim::TraceDegrees degrees;
  if (found) degrees = sim::parse_trace_meta(read_text_file(*found, ""), found->string());
  const auto give = [&](int flag, std::optional<int>& degree, const char* name) {
    if (flag == 0) return;
    if (found) {
      throw Error(ErrorKind::kUsage, "", fmt::format("{} is for a trace without meta file; {} gives the degrees", name, found->string()));
    }
    degree = flag;
    degrees.source = "the command line";
  };
  give(options.data, degrees.data, "--data-parallel");
  give(options.pipeline, degrees.pipeline, "--pipeline");
  give(options.virtual_stages, degrees.virtual_stages, "--virtual-stages");
  return degrees;
}

// Replayed without launch delays against recorded: what the graph leaves unexplained of the step times.
ValidationReport replay_report(const sim::StragglerTrace& trace, const sim::WhatIf& result) {
  ValidationReport report;
  report.covered = static_cast<std::int64_t>(trace.rows());
  for (std::size_t i = 0; i < trace.steps.size(); ++i) {
    if (result.recorded[i] > Seconds(0)) {
      report.compare("step_time_s", "replay", {result.no_delay[i].count(), result.recorded[i].count(), {}});
    } else {
      report.misses.push_back({fmt::format("step {}", trace.steps[i]), "no op of the step takes time"});
    }
  }
  return report;
}

nlohmann::ordered_json to_json(const sim::WhatIfEffect& effect) {
  nlohmann::ordered_json out{{"slowdown", effect.slowdown},
                             {"recovery", nullptr},
                             {"only_these_step_time_s", effect.only.count()},
                             {"without_these_step_time_s", effect.without.count()}};
  if (effect.recovery) out["recovery"] = *effect.recovery;
  return out;
}

nlohmann::ordered_json to_json(const std::vector<sim::NamedEffect>& effects) {
  auto out = nlohmann::ordered_json::object();
  for (const sim::NamedEffect& e : effects) out[e.name] = to_json(e.effect);
  return out;
}

nlohmann::ordered_json to_json(const sim::StragglerTrace& trace, const sim::WhatIf& r) {
  nlohmann::ordered_json out{
      {"mean_step_time_s",
       {{"recorded", r.mean_recorded.count()}, {"no_delay", r.mean_no_delay.count()}, {"ideal", r.mean_ideal.count()}}},
      {"slowdown", r.slowdown},
      {"launch_slowdown", r.launch_slowdown},
      {"by_dp_rank", to_json(r.by_data_rank)},
      {"by_stage", to_json(r.by_stage)},
      {"by_optype", to_json(r.by_op_type)},
      {"by_rank", nlohmann::ordered_json::array()},
      {"worst_ranks", to_json(r.worst_ranks_effect)},
      {"last_stage", to_json(r.last_stage_effect)},
      {"steps", nlohmann::ordered_json::array()}};
  out["worst_ranks"]["ranks"] = r.worst_ranks;
  for (const sim::RankEffect& rank : r.by_rank) {
    out["by_rank"].push_back(
        {{"rank", rank.rank}, {"dp_rank", rank.data_rank}, {"stage", rank.stage}, {"slowdown", rank.slowdown}});
  }
  for (std::size_t i = 0; i < trace.steps.size(); ++i) {
    out["steps"].push_back({{"step", trace.steps[i]},
                            {"recorded_s", r.recorded[i].count()},
                            {"no_delay_s", r.no_delay[i].count()},
                            {"ideal_s", r.ideal[i].count()}});
  }
  return out;
}

nlohmann::ordered_json to_json(const std::vector<ExpectedValue>& values) {
  auto out = nlohmann::ordered_json::array();
  for (const ExpectedValue& v : values) {
    out.push_back({{"group", v.group},
                   {"name", v.name},
                   {"expected", v.expected},
                   {"computed", v.computed},
                   {"difference", v.computed - v.expected}});
  }
  return out;
}

std::string percent(const std::optional<double>& share) {
  return share ? fmt::format("{:.1f} %", 100.0 * *share) : "–";
}

// The largest slowdowns first.
void add_effects(Table& table, const std::string& kind, std::vector<sim::NamedEffect> effects) {
  std::stable_sort(effects.begin(), effects.end(),
                   [](const auto& a, const auto& b) { return a.effect.slowdown > b.effect.slowdown; });
  for (std::size_t i = 0; i < std::min(effects.size(), kShownRows); ++i) {
    const sim::WhatIfEffect& e = effects[i].effect;
    table.add({kind + effects[i].name, fmt::format("{:.4f}", e.slowdown), percent(e.recovery)});
  }
  if (effects.size() > kShownRows) {
    table.add({fmt::format("{}{} more", kind, effects.size() - kShownRows),
               fmt::format("≤ {:.4f}", effects[kShownRows].effect.slowdown), ""});
  }
}

std::string render(const sim::StragglerTrace& trace, const sim::TraceDegrees& degrees, const sim::WhatIf& r) {
  std::string out = fmt::format(
      "{}\n  ops {} · steps {} · data ranks {} · stages {} · chunks per stage {} · micro-batches {}\n  degrees from {}\n\n",
      trace.where, with_thousands(static_cast<std::int64_t>(trace.rows())), trace.steps.size(), trace.data,
      trace.pipeline, trace.virtual_stages, trace.micro_batches,
      degrees.source.empty() ? "the rows alone: a missing last rank, stage or chunk would not show" : degrees.source);
  Table steps({"mean step", "s", "relative to ideal"});
  const auto add_step = [&](const std::string& name, Seconds mean) {
    const bool known = r.mean_ideal > Seconds(0);
    steps.add({name, fmt::format("{:.4f}", mean.count()), known ? fmt::format("{:.4f}", mean / r.mean_ideal) : "–"});
  };
  add_step("recorded", r.mean_recorded);
  add_step("without launch delays", r.mean_no_delay);
  add_step("ideal", r.mean_ideal);
  out += steps.text() + '\n';

  Table effects({"what slowed it", "slowdown", "fixing it recovers"});
  effects.add({"all (S)", fmt::format("{:.4f}", r.slowdown), ""});
  add_effects(effects, "data rank ", r.by_data_rank);
  add_effects(effects, "stage ", r.by_stage);
  add_effects(effects, "", r.by_op_type);
  out += effects.text() + '\n';

  const sim::RankEffect& worst = r.by_rank.front();
  out += fmt::format("  slowest rank: {} (data rank {}, stage {}), {:.4f}\n", worst.rank, worst.data_rank, worst.stage, worst.slowdown);
  out += fmt::format("  fixing the worst {} of {} recorded ranks ({}) recovers {} (M_W)\n", r.worst_ranks.size(),
                     r.by_rank.size(), fmt::join(r.worst_ranks, ", "), percent(r.worst_ranks_effect.recovery));
  out += fmt::format("  fixing the last stage recovers {} (M_S)\n", percent(r.last_stage_effect.recovery));
  return out;
}

std::string render(const std::vector<ExpectedValue>& values) {
  Table table({"against the expected", "expected", "computed", "difference"});
  for (const ExpectedValue& v : values) {
    table.add({v.group + " " + v.name, fmt::format("{:.4f}", v.expected), fmt::format("{:.4f}", v.computed),
               fmt::format("{:+.1e}", v.computed - v.expected)});
  }
  return table.text();
}

void execute(const StragglersVerb& options) {
  const sim::TraceDegrees degrees = degrees_of(options);
  Progress progress(options.common.progress, "validate");
  progress.update("reading", 0.0);
  const sim::StragglerTrace trace = sim::read_straggler_trace(options.trace, degrees);
  const sim::WhatIf result = sim::analyse_what_if(
      trace, {[&](double done) { progress.update("replaying", done); }, cancel_requested});
  ValidationReport report = replay_report(trace, result);
  std::vector<ExpectedValue> expected;
  for (const std::string& file : options.expected) {
    const auto values = compare_with_expected(file, trace, result, report);
    expected.insert(expected.end(), values.begin(), values.end());
  }
  if (options.common.format == Format::kJson) {
    nlohmann::ordered_json out = validation_json(report);
    out["trace"] = {{"path", trace.where},
                    {"steps", trace.steps.size()},
                    {"data_parallel", trace.data},
                    {"pipeline", trace.pipeline},
                    {"virtual_stages", trace.virtual_stages},
                    {"micro_batches", trace.micro_batches},
                    {"degrees_from", degrees.source}};
    out["what_if"] = to_json(trace, result);
    if (!expected.empty()) out["expected"] = to_json(expected);
    fmt::print("{}\n", out.dump(2));
    return;
  }
  fmt::print("{}\n", render(trace, degrees, result));
  if (!expected.empty()) fmt::print("{}\n", render(expected));
  fmt::print("{}", render_validation(report));
}

}  // namespace

void add_validate_stragglers(CLI::App& validate) {
  auto options = std::make_shared<StragglersVerb>();
  CLI::App* verb = validate.add_subcommand("stragglers", "what slowed a recorded training job (what-if analysis of an op trace)");
  verb->add_option("trace", options->trace, "op trace, CSV or CSV.gz (docs/stragglers.md)")->required()->type_name("TRACE");
  verb->add_option("--meta", options->meta, "degrees of parallelism [meta-X.yaml beside trace-X.csv]")->type_name("FILE");
  verb->add_option("--expect", options->expected, "expected results (result-, mw-, ms-*.json): prints the errors against them")
      ->type_name("FILE");
  const auto add_degree = [&](const std::string& name, int& value, const std::string& what) {
    verb->add_option(name, value, what + ", for a trace without meta file")->type_name("N")->check(CLI::Range(1, 1'000'000));
  };
  add_degree("--data-parallel", options->data, "data-parallel ranks");
  add_degree("--pipeline", options->pipeline, "pipeline stages");
  add_degree("--virtual-stages", options->virtual_stages, "model chunks per stage");
  add_common(*verb, options->common, false);
  verb->callback([options] { execute(*options); });
}

}  // namespace lindos::cli
