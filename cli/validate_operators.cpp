// SPDX-License-Identifier: Apache-2.0
// lindos validate operators PROFILE MEASURED: what a profile answers for the operators that another one measured.
#include <memory>
#include <string>

#include <fmt/format.h>

#include "cli/options.h"
#include "cli/session.h"
#include "cli/validation.h"
#include "sim/operator_validation.h"

namespace lindos::cli {

void add_validate_operators(CLI::App& validate) {
  struct Options {
    CommonOptions common;
    std::string profile, measured;
  };
  auto options = std::make_shared<Options>();
  CLI::App* verb = validate.add_subcommand("operators", "operator times of a profile against measured ones");
  verb->add_option("profile", options->profile, "profile that is to be checked")->required()->type_name("PROFILE");
  verb->add_option("measured", options->measured, "profile JSON with the measured samples (docs/operators.md)")
      ->required()
      ->type_name("MEASURED");
  add_common(*verb, options->common, false);
  verb->callback([options] {
    const Profile profile = profile_from_json(read_file(options->profile), options->profile);
    const Profile measured = profile_from_json(read_file(options->measured), options->measured);
    const ValidationReport report = sim::validate_operators(profile, measured, options->measured);
    if (options->common.format == Format::kJson) {
      fmt::print("{}\n", validation_json(report).dump(2));
    } else {
      fmt::print("{}", render_validation(report));
    }
  });
}

}  // namespace lindos::cli
