// SPDX-License-Identifier: Apache-2.0
// Samples of a run as rows: tables sample_phase, sample_series. Internal to data/store.
#pragma once

#include <cstdint>
#include <string>

#include <SQLiteCpp/Database.h>

#include "scenarios/run_samples.h"

namespace lindos::data {

// Inside the caller's transaction.
void insert_run_samples(SQLite::Database& database, std::int64_t run, const RunSamples& samples);
// Without series: the run has no samples. `where` names the store in complaints.
[[nodiscard]] RunSamples read_run_samples(SQLite::Database& database, std::int64_t run, const std::string& where);

}  // namespace lindos::data
