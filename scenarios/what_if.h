// SPDX-License-Identifier: Apache-2.0
// A scenario with some of its figures changed, for questions of the form "and what if …?".
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lindos {

// "power.site_cap" = "150 MW"; elements of an array are addressed by name: "cluster.pool.h100.nodes".
struct Setting {
  std::string key;
  std::string value;
  bool operator==(const Setting&) const = default;
};

// "key=value,value,…" → one setting per value. A value that holds commas is a TOML array in brackets. Throws
// Error{kUsage} naming `option`.
[[nodiscard]] std::vector<Setting> parse_settings(std::string_view text, const std::string& option);

// The text of a scenario, canonical as to_toml writes it, with these figures. A value is TOML where it reads as TOML,
// else a text. Throws Error{kUsage} for a path whose table is not there, with the nearest that is; whether the value
// means anything there is for parse_scenario to say.
[[nodiscard]] std::string with_settings(const std::string& canonical, const std::vector<Setting>& settings);

}  // namespace lindos
