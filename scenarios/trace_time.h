// SPDX-License-Identifier: Apache-2.0
// Points in time as traces write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace lindos {

// Nanoseconds; nothing for a text that is no such time, or one beyond ±146 years.
// A number of units, with a fraction and an exponent: "2.5", "1e3"; finer than a nanosecond is rounded.
[[nodiscard]] std::optional<std::int64_t> parse_trace_units(std::string_view text, std::int64_t unit_ns);
// "2023-11-16 18:17:03.9799600", "2024-05-10T00:00:00.009930+00:00", "…Z"; since 1970.
[[nodiscard]] std::optional<std::int64_t> parse_trace_date(std::string_view text);

}  // namespace lindos
