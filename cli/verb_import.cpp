// SPDX-License-Identifier: Apache-2.0
// lindos import KIND …: what other tools measured, as measured runs that `compare` joins with
// predictions, or as operator samples that `validate operators` checks a profile against.
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "cli/import/import.h"
#include "cli/render.h"
#include "cli/session.h"
#include "cli/verbs.h"
#include "exec/telemetry/measured_record.h"
#include "scenarios/error.h"
#include "scenarios/json_reader.h"
#include "sim/datasheet.h"
#include "sim/normal_distribution.h"

namespace lindos::cli {

namespace {

struct ImportVerb {
  CommonOptions common;
  std::string scenario, plan, hardware, version;
  std::vector<std::string> files;
};

// The machine that imports is not the one that was measured.
RunRecord foreign_record(const Session& session, const ImportVerb& options, const std::string& tool,
                         const std::string& hardware) {
  RunRecord record;
  record.source = RunSource::kMeasured;
  record.fidelity = "engine";
  session.stamp(record, nullptr);
  record.seed = session.scenario.workload.seed;
  record.environment.hardware = options.hardware.empty() ? hardware : options.hardware;
  record.environment.driver.clear();
  record.environment.host.clear();
  record.environment.libraries = {
      {tool, options.version.empty() ? "version not given" : options.version}};
  return record;
}

// What the scenario says, for files that do not name the hardware.
std::string hardware_of(const Scenario& scenario) {
  std::vector<std::string> parts;
  for (const Pool& pool : scenario.cluster.pools) {
    parts.push_back(
        fmt::format("{} × {}", pool.devices(), scenario.devices.at(pool.node.device).label));
  }
  return fmt::format("{} (as the scenario says)", fmt::join(parts, ", "));
}

void finish(const Session& session, const ImportVerb& options, RunRecord& record,
            const std::vector<std::string>& unused) {
  validate_run_record(record, options.files.front());
  std::optional<data::Store> store = open_store(options.common);
  store_records(store, session, {&record}, nullptr);
  if (options.common.format == Format::kJson) {
    auto out = nlohmann::ordered_json::parse(to_json(record));
    if (!unused.empty()) out["unused"] = unused;
    fmt::print("{}\n", out.dump(2));
    return;
  }
  fmt::print("{}", render(record));
  for (const std::string& row : unused) fmt::print("not used: {}\n", row);
}

void import_vllm(const ImportVerb& options) {
  const Session session = Session::open(options.scenario, options.plan, options.common);
  std::map<std::string, std::vector<double>> repeats;
  std::string first;
  for (const std::string& file : options.files) {
    const ImportedRun run = read_vllm_bench(read_file(file), file, session.scenario);
    for (const auto& [name, value] : run.metrics) repeats[name].push_back(value);
    if (first.empty() || run.started_utc < first) first = run.started_utc;
  }
  RunRecord record = foreign_record(session, options, "vllm", hardware_of(session.scenario));
  record.started_utc = first;
  record.repeats = static_cast<std::int64_t>(options.files.size());
  for (const auto& [name, values] : repeats) {
    if (values.size() == options.files.size()) exec::set_measured(record, name, values);
  }
  finish(session, options, record, {});
}

void import_llama_bench(const ImportVerb& options) {
  const Session session = Session::open(options.scenario, options.plan, options.common);
  const std::string& file = options.files.front();
  const ImportedRows rows =
      fit_llama_bench(data::read_llama_bench(read_file(file), file), file, session.scenario);
  RunRecord record =
      foreign_record(session, options, "llama.cpp",
                     rows.hardware.empty() ? hardware_of(session.scenario) : rows.hardware);
  record.started_utc = rows.started_utc;
  if (options.version.empty()) record.environment.libraries["llama.cpp"] = rows.build;
  const double tenth = sim::normal_tail_quantile(0.1);
  for (const ImportedMean& mean : rows.means) {
    exec::set_measured(record, mean.metric, {mean.mean});
    MetricValue& value = record.metrics.at(mean.metric);
    value.p10 = std::max(0.0, mean.mean - tenth * mean.deviation);
    value.p90 = mean.mean + tenth * mean.deviation;
  }
  finish(session, options, record, rows.unused);
}

void add_record_options(CLI::App& verb, ImportVerb& options) {
  verb.add_option("scenario", options.scenario, "scenario that was measured")
      ->required()
      ->type_name("SCENARIO");
  verb.add_option("files", options.files, "what the tool wrote")->required()->type_name("FILE");
  verb.add_option("--plan", options.plan, "plan that was run, instead of the scenario's own")
      ->type_name("FILE");
  verb.add_option("--hardware", options.hardware,
                  "what it ran on; default: the file's word, else the scenario's")
      ->type_name("TEXT");
  verb.add_option("--tool-version", options.version,
                  "version of the tool where its file does not say it")
      ->type_name("TEXT");
  add_common(verb, options.common, true);
}

void add_import_vllm(CLI::App& import) {
  auto options = std::make_shared<ImportVerb>();
  CLI::App* verb = import.add_subcommand(
      "vllm", "JSON of `vllm bench serve --save-result`; several files are repeats of one run");
  add_record_options(*verb, *options);
  verb->callback([options] { import_vllm(*options); });
}

void add_import_llama_bench(CLI::App& import) {
  auto options = std::make_shared<ImportVerb>();
  CLI::App* verb = import.add_subcommand("llama-bench", "output of `llama-bench -o sql`");
  add_record_options(*verb, *options);
  verb->get_option("files")->expected(1);
  verb->callback([options] { import_llama_bench(*options); });
}

const Device& device_named(const Catalogue& catalogue, const std::string& name) {
  if (const auto found = catalogue.devices.find(name); found != catalogue.devices.end())
    return found->second;
  std::vector<std::string> names;
  for (const auto& [known, device] : catalogue.devices) names.push_back(known);
  throw Error(ErrorKind::kUsage, "--device",
              fmt::format("the catalogue has no device \"{}\"{}; it has {}", name,
                          did_you_mean(name, names), fmt::join(names, ", ")));
}

struct NcclVerb {
  CommonOptions common;
  std::string device, out;
  std::vector<std::string> files;
};

void import_nccl_tests(const NcclVerb& options) {
  const Catalogue catalogue = open_catalogue(options.common);
  Profile profile = sim::datasheet_profile(device_named(catalogue, options.device));
  std::vector<std::string> devices;
  for (const std::string& file : options.files) {
    const NcclTests tests = read_nccl_tests(read_file(file), file);
    profile.collectives.insert(profile.collectives.end(), tests.samples.begin(),
                               tests.samples.end());
    profile.source =
        fmt::format("nccl-tests, NCCL {}, on {}; ceilings from the datasheet", tests.version,
                    tests.device.empty() ? "GPUs that the file does not name" : tests.device);
    profile.date = std::max(profile.date, tests.date);
  }
  write_file(options.out, to_json(profile));
  if (options.common.format == Format::kJson) {
    fmt::print("{}\n", nlohmann::ordered_json{{"samples", profile.collectives.size()},
                                              {"files", {options.out}}}
                           .dump(2));
  } else {
    fmt::print("{} samples of {}\n{}\n", profile.collectives.size(), profile.source, options.out);
  }
}

void add_import_nccl_tests(CLI::App& import) {
  auto options = std::make_shared<NcclVerb>();
  CLI::App* verb = import.add_subcommand(
      "nccl-tests", "JSON of nccl-tests (-J), as a profile with the measured collectives");
  verb->add_option("files", options->files, "what all_reduce_perf and its siblings wrote")
      ->required()
      ->type_name("FILE");
  verb->add_option("--device", options->device, "catalogue name of the GPUs")
      ->required()
      ->type_name("NAME");
  verb->add_option("--out", options->out, "profile to write")->required()->type_name("FILE");
  add_common(*verb, options->common, false);
  verb->callback([options] { import_nccl_tests(*options); });
}

}  // namespace

void add_import(CLI::App& app) {
  CLI::App* verb = app.add_subcommand("import", "results of other tools, for compare and validate");
  verb->require_subcommand(1);
  add_import_vllm(*verb);
  add_import_llama_bench(*verb);
  add_import_nccl_tests(*verb);
}

}  // namespace lindos::cli
