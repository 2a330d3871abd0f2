// SPDX-License-Identifier: Apache-2.0
// The schema of the store as numbered steps. Step n turns version n − 1 into n; a released step is never
// edited, a change is a new step in a new file (rules: docs/store.md).
#pragma once

#include <span>

namespace lindos::data {

// The statements of each step; run in one transaction together with the new version number.
extern const char* const kMigration001Initial;
extern const char* const kMigration002DeviceMap;
extern const char* const kMigration003RunSamples;
extern const char* const kMigration004Tenants;
extern const char* const kMigration005TunedProducts;
extern const char* const kMigration006ProductFormats;

// All steps in order; the size is the schema version that this build writes.
[[nodiscard]] std::span<const char* const> migrations();

}  // namespace lindos::data
