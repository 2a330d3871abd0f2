// SPDX-License-Identifier: Apache-2.0
// lindos validate operators PROFILE MEASURED: what a profile answers for the operators that another one measured;
// lindos validate collectives PROFILE MEASURED: for its messages alone, such as `lindos import nccl-tests` brings.
#include <memory>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "cli/options.h"
#include "cli/session.h"
#include "cli/validation.h"
#include "scenarios/error.h"
#include "sim/operator_validation.h"

namespace lindos::cli {

namespace {

void only_collectives(Profile& measured, const std::string& where) {
  if (measured.collectives.empty()) throw Error(ErrorKind::kInput, where + ": /collectives", "there are none to compare");
  Profile messages;
  messages.device = measured.device;
  messages.collectives = std::move(measured.collectives);
  measured = std::move(messages);
}

void add(CLI::App& validate, const std::string& name, const std::string& about, bool collectives) {
  struct Options {
    CommonOptions common;
    std::string profile, measured;
  };
  auto options = std::make_shared<Options>();
  CLI::App* verb = validate.add_subcommand(name, about);
  verb->add_option("profile", options->profile, "profile that is to be checked")->required()->type_name("PROFILE");
  verb->add_option("measured", options->measured, "profile JSON with the measured samples (docs/operators.md)")
      ->required()
      ->type_name("MEASURED");
  add_common(*verb, options->common, false);
  verb->callback([options, collectives] {
    const Profile profile = profile_from_json(read_file(options->profile), options->profile);
    Profile measured = profile_from_json(read_file(options->measured), options->measured);
    if (collectives) only_collectives(measured, options->measured);
    const ValidationReport report = sim::validate_operators(profile, measured, options->measured);
    if (options->common.format == Format::kJson) {
      fmt::print("{}\n", validation_json(report).dump(2));
    } else {
      fmt::print("{}", render_validation(report));
    }
  });
}

}  // namespace

void add_validate_operators(CLI::App& validate) {
  add(validate, "operators", "operator times of a profile against measured ones", false);
  add(validate, "collectives", "message times of a profile against measured ones (of nccl-tests, say)", true);
}

}  // namespace lindos::cli
