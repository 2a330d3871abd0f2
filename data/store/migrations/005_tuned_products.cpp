// SPDX-License-Identifier: Apache-2.0
// Which algorithm of a GPU's product library is the fastest for a shape (scenarios/tuned_product.h), so that an engine times
// each once per device and version of the library.
#include "data/store/migrations/migrations.h"

namespace lindos::data {

const char* const kMigration005TunedProducts = R"sql(
CREATE TABLE tuned_product (
  device TEXT NOT NULL,
  multiprocessors INTEGER NOT NULL,
  library TEXT NOT NULL,
  m INTEGER NOT NULL,
  n INTEGER NOT NULL,
  k INTEGER NOT NULL,
  logits INTEGER NOT NULL CHECK (logits IN (0, 1)),
  accumulate INTEGER NOT NULL CHECK (accumulate IN (0, 1)),
  fp8 INTEGER NOT NULL CHECK (fp8 IN (0, 1)),
  algorithm BLOB NOT NULL CHECK (length(algorithm) = 64),
  PRIMARY KEY (device, multiprocessors, library, m, n, k, logits, accumulate, fp8)
) STRICT, WITHOUT ROWID;
)sql";

}  // namespace lindos::data
