// SPDX-License-Identifier: Apache-2.0
// Runs with their whole provenance. STRICT: SQLite refuses a value of the wrong type instead of
// keeping it.
#include "data/store/migrations/migrations.h"

namespace lindos::data {

const char* const kMigration001Initial = R"sql(
CREATE TABLE scenario (
  digest TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  canonical_text TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE plan (
  digest TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  json TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE profile (
  digest TEXT PRIMARY KEY,
  date TEXT NOT NULL,
  json TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- profile_digest is no foreign key: a run may name a profile that its writer did not hand over.
CREATE TABLE environment (
  digest TEXT PRIMARY KEY,
  git_revision TEXT NOT NULL,
  hardware TEXT NOT NULL,
  driver TEXT NOT NULL,
  catalogue_date TEXT NOT NULL,
  profile_digest TEXT NOT NULL,
  host TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE environment_library (
  environment_digest TEXT NOT NULL REFERENCES environment (digest),
  name TEXT NOT NULL,
  version TEXT NOT NULL,
  PRIMARY KEY (environment_digest, name)
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT: the number of a deleted run is never given to another one.
-- seed: the 64 bits of the unsigned value, read as a signed one.
-- The names are those the run was started under; scenario.name and plan.name are the first seen for a digest.
CREATE TABLE run (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  source TEXT NOT NULL CHECK (source IN ('predicted', 'measured')),
  fidelity TEXT NOT NULL,
  scenario_digest TEXT NOT NULL REFERENCES scenario (digest),
  scenario_name TEXT NOT NULL,
  plan_digest TEXT NOT NULL REFERENCES plan (digest),
  plan_name TEXT NOT NULL,
  environment_digest TEXT NOT NULL REFERENCES environment (digest),
  seed INTEGER NOT NULL,
  repeats INTEGER NOT NULL CHECK (repeats >= 1),
  output_hash TEXT NOT NULL,
  started_utc TEXT NOT NULL,
  created_utc TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX run_by_question ON run (scenario_digest, plan_digest, source, id);

CREATE TABLE metric (
  run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  definition TEXT NOT NULL,
  p10 REAL NOT NULL,
  p50 REAL NOT NULL,
  p90 REAL NOT NULL,
  unit TEXT NOT NULL,
  provenance TEXT NOT NULL CHECK (provenance IN ('measured', 'modelled', 'extrapolated')),
  PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE ledger_entry (
  run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  cause TEXT NOT NULL,
  share REAL NOT NULL CHECK (share >= 0),
  p10 REAL NOT NULL,
  p90 REAL NOT NULL,
  PRIMARY KEY (run, cause)
) STRICT, WITHOUT ROWID;

CREATE TABLE artifact (
  run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  content BLOB NOT NULL,
  PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;
)sql";

}  // namespace lindos::data
