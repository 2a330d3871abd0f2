// SPDX-License-Identifier: Apache-2.0
// lindos validate KIND FILE: error statistics against published or recorded data. One file per kind.
#include "cli/validation.h"
#include "cli/verbs.h"

namespace lindos::cli {

void add_validate(CLI::App& app) {
  CLI::App* verb = app.add_subcommand("validate", "error statistics against published or recorded data");
  verb->require_subcommand(1);
  add_validate_operators(*verb);
  add_validate_serving(*verb);
  add_validate_stragglers(*verb);
  add_validate_training(*verb);
}

}  // namespace lindos::cli
