// SPDX-License-Identifier: Apache-2.0
// lindos report RUN…|SCENARIO: stored runs as one HTML page, or as PDF by the lindos-gui beside this program.
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "cli/report.h"
#include "cli/session.h"
#include "cli/verbs.h"
#include "cli/version.h"
#include "data/store/store.h"
#include "scenarios/error.h"

namespace lindos::cli {

namespace {

struct ReportVerb {
  CommonOptions common;
  std::vector<std::string> what;
  std::filesystem::path out;
};

bool is_number(const std::string& word) {
  constexpr std::size_t kMostDigits = 18;  // fits 64 bits
  return !word.empty() && word.size() <= kMostDigits && word.find_first_not_of("0123456789") == std::string::npos;
}

// Numbers as they are; a scenario file stands for the newest prediction of it, or its newest measurement.
std::vector<std::int64_t> run_ids(const ReportVerb& options, const data::Store& store) {
  std::vector<std::int64_t> ids;
  for (const std::string& word : options.what) {
    if (is_number(word)) {
      ids.push_back(std::stoll(word));
      continue;
    }
    const Session session = Session::open(word, {}, options.common);
    data::RunFilter filter;
    filter.scenario_digest = digest(session.scenario);
    filter.source = RunSource::kPredicted;
    auto found = store.latest(filter);
    filter.source = RunSource::kMeasured;
    if (!found) found = store.latest(filter);
    if (!found) {
      throw Error(ErrorKind::kInput, word,
                  "the store holds no run of this scenario as it is now; lindos predict " + word + " makes one");
    }
    ids.push_back(found->id);
  }
  return ids;
}

ReportedRun reported(const data::Store& store, std::int64_t id) {
  ReportedRun run;
  run.id = id;
  run.record = store.load(id);
  run.devices = store.load_device_map(id);
  if (const auto measured = store.measurement_of(run.record)) {
    run.measured_id = *measured;
    run.measured = store.load(*measured);
  }
  return run;
}

// Beside this program. Draws without a display.
void print_pdf(const std::string& html, const std::filesystem::path& out) {
  const std::filesystem::path gui = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "lindos-gui";
  if (!std::filesystem::exists(gui)) {
    throw Error(ErrorKind::kEnvironment, out.string(),
                "PDF is made by lindos-gui, which is not beside this program; write .html, which every browser prints");
  }
  const std::filesystem::path page = out.string() + ".part.html";
  write_file(page, html);
  const pid_t child = ::fork();
  if (child == 0) {
    ::setenv("QT_QPA_PLATFORM", "offscreen", 1);
    ::execl(gui.c_str(), gui.c_str(), "--print", page.c_str(), out.c_str(), nullptr);
    ::_exit(127);
  }
  int status = -1;
  if (child > 0) ::waitpid(child, &status, 0);
  std::error_code ignored;
  std::filesystem::remove(page, ignored);
  if (child < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    throw Error(ErrorKind::kEnvironment, out.string(), "lindos-gui could not print it; write .html instead");
  }
}

void execute(const ReportVerb& options) {
  const std::string ending = options.out.extension().string();
  if (ending != ".html" && ending != ".pdf") {
    throw Error(ErrorKind::kUsage, "",
                "--out: expected a name that ends in .html or .pdf, saw \"" + options.out.string() + "\"");
  }
  const std::filesystem::path path = options.common.db.empty() ? default_db_path() : options.common.db;
  const data::Store store = data::Store::open(path, data::Store::Mode::kReadOnly);
  Report report;
  report.store = path.string();
  report.made_utc = utc_now();
  report.version = version_text().substr(0, version_text().find('\n'));
  const std::vector<std::int64_t> ids = run_ids(options, store);
  for (const std::int64_t id : ids) report.runs.push_back(reported(store, id));
  const RunRecord& first = report.runs.front().record;
  report.scenario_name = first.scenario_name;
  report.scenario_toml = store.scenario_text(first.scenario_digest).value_or("");
  try {
    report.scenario = parse_scenario(report.scenario_toml, "store", {}, open_catalogue(options.common));
  } catch (const Error&) {
    // Of another version or catalogue: the text alone stays true.
  }
  const std::string html = report_html(report);
  if (ending == ".pdf") {
    print_pdf(html, options.out);
  } else {
    write_file(options.out, html);
  }
  if (options.common.format == Format::kJson) {
    fmt::print(
        "{}\n",
        nlohmann::ordered_json{{"file", std::filesystem::absolute(options.out).string()}, {"runs", ids}}.dump(2));
  } else {
    fmt::print("{}: {}\n", options.out.string(), fmt::format("runs {}", fmt::join(ids, ", ")));
  }
}

}  // namespace

void add_report(CLI::App& app) {
  auto options = std::make_shared<ReportVerb>();
  CLI::App* verb = app.add_subcommand("report", "stored runs as one self-contained HTML page, or as PDF");
  verb->add_option("what", options->what, "numbers of runs, or a scenario file: its newest prediction")
      ->required()
      ->type_name("RUN|SCENARIO");
  verb->add_option("--out", options->out, "file to write; .html or .pdf")->required()->type_name("FILE");
  add_common(*verb, options->common, true);
  verb->callback([options] { execute(*options); });
}

}  // namespace lindos::cli
