// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "scenarios/plan_json.h"
#include "scenarios/scenario.h"

namespace lindos {

std::string digest(const Scenario& scenario) {
  if (scenario.workload.serving.arrival != Arrival::kRecorded) return digest_of_text(to_toml(scenario));
  // The trace counts by its content, wherever it lies.
  Scenario placeless = scenario;
  placeless.workload.serving.trace.path.clear();
  return digest_of_text(to_toml(placeless));
}
std::string digest(const Plan& plan) { return digest_of_text(to_json(plan)); }

}  // namespace lindos
