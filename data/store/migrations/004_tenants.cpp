// SPDX-License-Identifier: Apache-2.0
// What a run says of each tenant of its workload: the metrics of run_record.h, of that tenant's requests alone.
#include "data/store/migrations/migrations.h"

namespace lindos::data {

const char* const kMigration004Tenants = R"sql(
CREATE TABLE tenant_metric (
  run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  definition TEXT NOT NULL,
  p10 REAL NOT NULL,
  p50 REAL NOT NULL,
  p90 REAL NOT NULL,
  unit TEXT NOT NULL,
  provenance TEXT NOT NULL CHECK (provenance IN ('measured', 'modelled', 'extrapolated')),
  PRIMARY KEY (run, tenant, name)
) STRICT, WITHOUT ROWID;
)sql";

}  // namespace lindos::data
