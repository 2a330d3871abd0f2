// SPDX-License-Identifier: Apache-2.0
// Text ↔ quantity: "900 GB/s", "400 Gb/s", "80 GiB", "2.5 PFLOP/s", "300 MW", "10 ms". Units are
// case-sensitive; a bare number is refused with a message that names the unit it expects.
// parse_x(format_x(v)) == v to the printed digits (format prints up to 12 significant digits).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "scenarios/units.h"

namespace lindos {

// Each throws Error{kInput} with the given `where`; the message gives an example and, for a mistyped
// unit, the nearest valid one.
Bytes parse_bytes(std::string_view text, const std::string& where);
BytesPerSecond parse_bytes_per_second(std::string_view text, const std::string& where);
FlopPerSecond parse_flop_per_second(std::string_view text, const std::string& where);
Watts parse_watts(std::string_view text, const std::string& where);
Seconds parse_seconds(std::string_view text, const std::string& where);
TokensPerSecond parse_tokens_per_second(std::string_view text, const std::string& where);
Hertz parse_hertz(std::string_view text, const std::string& where);  // "2 /s", "1e-5 /h"
DollarsPerSecond parse_dollars_per_second(std::string_view text, const std::string& where);  // "2.5 $/h"
DollarsPerJoule parse_dollars_per_joule(std::string_view text, const std::string& where);  // "0.08 $/kWh"

std::string format(Bytes v);
std::string format(BytesPerSecond v);
std::string format(Flop v);
std::string format(FlopPerSecond v);
std::string format(Watts v);
std::string format(Joules v);
std::string format(Seconds v);
std::string format(TokensPerSecond v);
std::string format(Hertz v);
std::string format(DollarsPerSecond v);  // per hour
std::string format(DollarsPerJoule v);   // per kWh

// The candidate with the smallest edit distance, if it is near enough to be what was meant.
std::optional<std::string> nearest_spelling(std::string_view word,
                                            const std::string* candidates, std::size_t count);

}  // namespace lindos
