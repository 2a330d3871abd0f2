// SPDX-License-Identifier: Apache-2.0
// A waterfall as an SVG element of its own, for the report: bars, whiskers P10–P90, diamonds for the measured run.
#pragma once

#include <string>

#include "scenarios/waterfall.h"

namespace lindos::cli {

// <, >, & and quotes as entities.
[[nodiscard]] std::string escaped(const std::string& text);
[[nodiscard]] std::string waterfall_svg(const Waterfall& waterfall);

}  // namespace lindos::cli
