// SPDX-License-Identifier: Apache-2.0
// A report as one HTML page without anything outside it: what a scenario is, what was predicted and measured of it, where the
// peak goes, what the devices say, where every number comes from and how to make it again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "scenarios/device_map.h"
#include "scenarios/run_record.h"
#include "scenarios/scenario.h"

namespace lindos::cli {

struct ReportedRun {
  std::int64_t id = 0;
  RunRecord record;
  std::optional<RunRecord> measured;  // of a prediction: the latest of the same scenario and plan
  std::int64_t measured_id = 0;
  std::optional<DeviceMap> devices;
};

struct Report {
  std::string scenario_name;
  std::string scenario_toml;                // canonical
  std::optional<Scenario> scenario;         // absent when this build cannot read it any more
  std::vector<ReportedRun> runs;            // in the order of the report; never empty
  std::string store;                        // where the runs lie
  std::string made_utc;
  std::string version;                      // of the program that makes it
};

[[nodiscard]] std::string report_html(const Report& report);

}  // namespace lindos::cli
