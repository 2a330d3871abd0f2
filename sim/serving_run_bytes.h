// SPDX-License-Identifier: Apache-2.0
// A ServingRun as bytes and back, between a parent and its forked child: the same program on the
// same machine, so plain memory order; never stored.
#pragma once

#include <string>
#include <string_view>

#include "sim/serving_run.h"

namespace lindos::sim {

[[nodiscard]] std::string to_bytes(const ServingRun& run);
// Throws Error{kEnvironment} when the bytes are not whole.
[[nodiscard]] ServingRun serving_run_from_bytes(std::string_view bytes);

}  // namespace lindos::sim
