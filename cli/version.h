// SPDX-License-Identifier: Apache-2.0
// What this binary is made of: project version, git revision at configure time, library versions.
#pragma once

#include <string>

#include "scenarios/run_record.h"

namespace lindos::cli {

[[nodiscard]] std::string version_text();
// Host, hardware, libraries, revision; profile and catalogue fields are the caller's.
[[nodiscard]] Environment current_environment();
[[nodiscard]] std::string utc_now();   // ISO 8601, seconds

}  // namespace lindos::cli
