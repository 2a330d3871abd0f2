// SPDX-License-Identifier: Apache-2.0
// One function per verb: adds its subcommand; its callback does the work and throws lindos::Error.
#pragma once

#include <CLI/CLI.hpp>

namespace lindos::cli {

void add_show(CLI::App& app);
void add_probe(CLI::App& app);
void add_predict(CLI::App& app);
void add_plan(CLI::App& app);
void add_run(CLI::App& app);
void add_twin(CLI::App& app);
void add_compare(CLI::App& app);
void add_report(CLI::App& app);
void add_calibrate(CLI::App& app);
void add_validate(CLI::App& app);
void add_export(CLI::App& app);
void add_import(CLI::App& app);
void add_slurm(CLI::App& app);

}  // namespace lindos::cli
