// SPDX-License-Identifier: Apache-2.0
// The operands of a remembered product have one of several formats, where they were FP8 or not.
#include "data/store/migrations/migrations.h"

namespace lindos::data {

const char* const kMigration006ProductFormats = R"sql(
CREATE TABLE product_of_format (
  device TEXT NOT NULL,
  multiprocessors INTEGER NOT NULL,
  library TEXT NOT NULL,
  m INTEGER NOT NULL,
  n INTEGER NOT NULL,
  k INTEGER NOT NULL,
  logits INTEGER NOT NULL CHECK (logits IN (0, 1)),
  accumulate INTEGER NOT NULL CHECK (accumulate IN (0, 1)),
  dtype TEXT NOT NULL CHECK (dtype IN ('bf16', 'f16', 'fp8')),
  algorithm BLOB NOT NULL CHECK (length(algorithm) = 64),
  PRIMARY KEY (device, multiprocessors, library, m, n, k, logits, accumulate, dtype)
) STRICT, WITHOUT ROWID;
INSERT INTO product_of_format
  SELECT device, multiprocessors, library, m, n, k, logits, accumulate, CASE fp8 WHEN 1 THEN 'fp8' ELSE 'bf16' END, algorithm
  FROM tuned_product;
DROP TABLE tuned_product;
ALTER TABLE product_of_format RENAME TO tuned_product;
)sql";

}  // namespace lindos::data
