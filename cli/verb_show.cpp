// SPDX-License-Identifier: Apache-2.0
// lindos show SCENARIO: what a scenario says, resolved against the catalogue, with its digest.
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/session.h"
#include "cli/verbs.h"
#include "scenarios/plan_json.h"

namespace lindos::cli {

void add_show(CLI::App& app) {
  struct Options {
    CommonOptions common;
    std::string scenario;
    std::string plan;
  };
  auto options = std::make_shared<Options>();
  CLI::App* verb = app.add_subcommand("show", "print a scenario: fleet, model, workload, plan");
  verb->add_option("scenario", options->scenario, "scenario file")->required()->type_name("SCENARIO");
  verb->add_option("--plan", options->plan, "plan file instead of the scenario's own")->type_name("FILE");
  add_common(*verb, options->common, false);
  verb->callback([options] {
    const Session session = Session::open(options->scenario, options->plan, options->common);
    if (options->common.format == Format::kJson) {
      nlohmann::ordered_json out{{"name", session.scenario.name},
                                 {"scenario_digest", digest(session.scenario)},
                                 {"plan_digest", digest(session.scenario.plan)},
                                 {"scenario_toml", to_toml(session.scenario)},
                                 {"plan", nlohmann::ordered_json::parse(to_json(session.scenario.plan))}};
      fmt::print("{}\n", out.dump(2));
    } else {
      fmt::print("{}{}", show(session.scenario), render_sources(distilled_profiles(session)));
    }
  });
}

}  // namespace lindos::cli
