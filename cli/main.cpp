// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>
#include <exception>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/signals.h"
#include "cli/verbs.h"
#include "cli/version.h"
#include "scenarios/error.h"
#include "scenarios/quantity_text.h"

namespace {

// A result that nobody can read is a failure, however well the work went.
int lost_output() {
  fmt::print(stderr, "lindos: standard output cannot be written; the result is not shown\n");
  return static_cast<int>(lindos::ErrorKind::kEnvironment);
}

// A word that stands where `verb` needs one of its subverbs and is none; the parser would only say that one is missing.
void refuse_unknown_verb(const CLI::App& verb, const std::string& word) {
  std::vector<std::string> known;
  for (const CLI::App* sub : verb.get_subcommands([](const CLI::App*) { return true; })) known.push_back(sub->get_name());
  if (std::find(known.begin(), known.end(), word) != known.end()) return;
  const auto nearest = lindos::nearest_spelling(word, known.data(), known.size());
  throw lindos::Error(lindos::ErrorKind::kUsage, "",
                      fmt::format("unknown verb \"{}\"{}; known: {}", word,
                                  nearest ? fmt::format(", did you mean \"{}\"?", *nearest) : std::string(),
                                  fmt::join(known, ", ")));
}

// Verbs come first: the words before any option.
void refuse_unknown_verbs(const CLI::App& app, int argc, char** argv) {
  const CLI::App* verb = &app;
  for (int i = 1; i < argc && argv[i][0] != '-' && verb->get_require_subcommand_min() > 0; ++i) {
    refuse_unknown_verb(*verb, argv[i]);
    verb = verb->get_subcommand(argv[i]);
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Lindos, a digital twin for GPU clusters: what will a plan do, what did it do, why do the two differ?"};
  app.name("lindos");
  app.set_version_flag("--version", lindos::cli::version_text());
  app.require_subcommand(1);
  app.footer("Exit status: 0 done, 1 bad input, 2 usage, 3 no plan fits, 4 the machine failed, 130 cancelled.");
  app.failure_message([](const CLI::App*, const CLI::Error& e) {
    return fmt::format("lindos: {}\nRun with --help for more information.\n", e.what());
  });
  lindos::cli::install_signal_handlers();
  lindos::cli::add_show(app);
  lindos::cli::add_probe(app);
  lindos::cli::add_predict(app);
  lindos::cli::add_plan(app);
  lindos::cli::add_run(app);
  lindos::cli::add_twin(app);
  lindos::cli::add_compare(app);
  lindos::cli::add_report(app);
  lindos::cli::add_calibrate(app);
  lindos::cli::add_validate(app);
  lindos::cli::add_export(app);
  lindos::cli::add_import(app);
  lindos::cli::add_slurm(app);
  try {
    refuse_unknown_verbs(app, argc, argv);
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    const int code = app.exit(e, std::cout, std::cerr);
    return code == 0 ? 0 : static_cast<int>(lindos::ErrorKind::kUsage);
  } catch (const lindos::Error& e) {
    fmt::print(stderr, "lindos: {}\n", e.what());
    return e.exit_code();
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "lindos: out of memory\n");
    return static_cast<int>(lindos::ErrorKind::kEnvironment);
  } catch (const std::exception& e) {
    if (std::ferror(stdout) != 0) return lost_output();
    fmt::print(stderr, "lindos: {}\n", e.what());
    return static_cast<int>(lindos::ErrorKind::kEnvironment);
  }
  return std::fflush(stdout) == 0 ? 0 : lost_output();
}
