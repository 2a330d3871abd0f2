// SPDX-License-Identifier: Apache-2.0
// Device maps as rows: tables fleet_pool, placed_stage, drawn_step, device_field. Internal to data/store.
#pragma once

#include <cstdint>
#include <string>

#include <SQLiteCpp/Database.h>

#include "scenarios/device_map.h"

namespace lindos::data {

// Inside the caller's transaction.
void insert_device_map(SQLite::Database& database, std::int64_t run, const DeviceMap& map);
// Without pools: the run has no map. `where` names the store in complaints.
[[nodiscard]] DeviceMap read_device_map(SQLite::Database& database, std::int64_t run, const std::string& where);

}  // namespace lindos::data
