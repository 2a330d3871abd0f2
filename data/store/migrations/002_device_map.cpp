// SPDX-License-Identifier: Apache-2.0
// What a run says about single devices (scenarios/device_map.h). One blob per run and quantity, not one row per device: a
// fleet of 220,000 has few distinct neighbours.
#include "data/store/migrations/migrations.h"

namespace lindos::data {

const char* const kMigration002DeviceMap = R"sql(
-- The fleet in the order of the scenario; devices are numbered through it. 0 per rack, array or hall: not said.
CREATE TABLE fleet_pool (
  run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  name TEXT NOT NULL,
  device TEXT NOT NULL,
  label TEXT NOT NULL,
  devices_per_node INTEGER NOT NULL,
  nodes INTEGER NOT NULL,
  nodes_per_rack INTEGER NOT NULL,
  racks_per_array INTEGER NOT NULL,
  racks_per_hall INTEGER NOT NULL,
  PRIMARY KEY (run, position)
) STRICT, WITHOUT ROWID;

-- Stage `stage` of replica r holds the devices [first + r * stride, ... + devices) of its pool.
CREATE TABLE placed_stage (
  run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  group_name TEXT NOT NULL,
  stage INTEGER NOT NULL,
  pool INTEGER NOT NULL,
  first INTEGER NOT NULL,
  devices INTEGER NOT NULL,
  stride INTEGER NOT NULL,
  replicas INTEGER NOT NULL,
  PRIMARY KEY (run, position)
) STRICT, WITHOUT ROWID;

-- Every draw, and whom its step waited for: the replica of a placed stage.
CREATE TABLE drawn_step (
  run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  draw INTEGER NOT NULL,
  step_s REAL NOT NULL,
  gate_stage INTEGER NOT NULL,
  gate_replica INTEGER NOT NULL,
  shown INTEGER NOT NULL CHECK (shown IN (0, 1)),
  PRIMARY KEY (run, draw)
) STRICT, WITHOUT ROWID;

-- spans: pairs of a count of neighbours (uint32) and their value (IEEE 754 binary32), little-endian; NaN: without one.
CREATE TABLE device_field (
  run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  quantity TEXT NOT NULL,
  definition TEXT NOT NULL,
  spans BLOB NOT NULL,
  PRIMARY KEY (run, quantity)
) STRICT, WITHOUT ROWID;
)sql";

}  // namespace lindos::data
