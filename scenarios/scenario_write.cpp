// SPDX-License-Identifier: Apache-2.0
// Scenario → canonical TOML: self-contained (devices, model and plan are written out), so that a
// saved scenario means the same when the catalogue has moved on.
#include <string>

#include "scenarios/plan_json.h"
#include "scenarios/scenario_toml.h"

namespace lindos {

std::string to_toml(const Scenario& s) {
  TomlText out;
  out.text("format", "lindos-scenario");
  out.integer("version", 1);
  out.text("name", s.name);
  out.text_if_any("description", s.description);
  write_cluster(out, s.cluster);
  for (const auto& [name, device] : s.devices) write_device(out, device);
  write_model(out, s.model);
  write_workload(out, s.workload, s.slo);
  if (s.plan_given) {
    out.header("plan");
    out.text("json", to_json(s.plan));
  }
  if (!s.sources.empty()) {
    out.header("sources");
    for (const auto& [path, source] : s.sources) out.raw(path, toml_source(source));
  }
  return out.str();
}

}  // namespace lindos
