// SPDX-License-Identifier: Apache-2.0
// What a measured run said of itself while it ran (scenarios/run_samples.h): one blob per series, bounded by the writer.
#include "data/store/migrations/migrations.h"

namespace lindos::data {

const char* const kMigration003RunSamples = R"sql(
CREATE TABLE sample_phase (
  run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  t_s REAL NOT NULL,
  name TEXT NOT NULL,
  PRIMARY KEY (run, position)
) STRICT, WITHOUT ROWID;

-- points: pairs of a time since the run began, in seconds, and a value in the quantity's SI unit (both IEEE 754
-- binary32), little-endian; NaN: no value in this window. absent: why there are no points.
CREATE TABLE sample_series (
  run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  subject TEXT NOT NULL,
  quantity TEXT NOT NULL,
  definition TEXT NOT NULL,
  absent TEXT NOT NULL,
  points BLOB NOT NULL,
  PRIMARY KEY (run, subject, quantity)
) STRICT, WITHOUT ROWID;
)sql";

}  // namespace lindos::data
