// SPDX-License-Identifier: Apache-2.0
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

bool knows_verb(const CLI::App& app, const std::string& word) {
  return !app.get_subcommands([&](const CLI::App* verb) { return verb->check_name(word); }).empty();
}

[[noreturn]] void refuse_verb(const CLI::App& app, const std::string& word) {
  std::vector<std::string> verbs;
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) verbs.push_back(verb->get_name());
  const auto nearest = lindos::nearest_spelling(word, verbs.data(), verbs.size());
  throw lindos::Error(lindos::ErrorKind::kUsage, "",
                      fmt::format("unknown verb \"{}\"{}; known: {}", word,
                                  nearest ? fmt::format(", did you mean \"{}\"?", *nearest) : std::string(),
                                  fmt::join(verbs, ", ")));
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
  lindos::cli::add_run(app);
  lindos::cli::add_twin(app);
  lindos::cli::add_compare(app);
  lindos::cli::add_validate(app);
  try {
    // The parser itself would only say that a subcommand is missing.
    if (argc > 1 && argv[1][0] != '-' && !knows_verb(app, argv[1])) refuse_verb(app, argv[1]);
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
