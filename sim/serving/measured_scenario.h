// SPDX-License-Identifier: Apache-2.0
// What a measured row describes, as scenarios that can be priced: one for the aggregated replica, or one for the
// prefill and one for the decode replica. What the row does not state is assumed, and every assumption is said.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "scenarios/scenario.h"
#include "sim/serving/engine_class.h"
#include "sim/serving/measured_rows.h"

namespace lindos::sim {

// One instance, and how many clients keep it busy. Its plan has one group of one replica.
struct MeasuredReplica {
  Scenario scenario;
  std::int64_t replicas = 1;   // that share the clients: workers × attention replicas
  std::int64_t clients = 1;    // of one of them, rounded up
};

struct MeasuredScenario {
  std::vector<MeasuredReplica> parts;  // aggregated; or prefill, decode
  EngineClass engine;                  // as the row ran it
  std::vector<std::string> assumptions;
  // How many GPUs did what is among the assumptions: an error says as much about these as about the model.
  bool incomplete = false;
};

// The row cannot be described; reasons hold no figures of the row, so that equal ones count together.
struct MeasuredMiss {
  std::string reason;
};

[[nodiscard]] std::variant<MeasuredScenario, MeasuredMiss> measured_scenario(const MeasuredRow& row,
                                                                             const Catalogue& catalogue);

}  // namespace lindos::sim
