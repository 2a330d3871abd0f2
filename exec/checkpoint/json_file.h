// SPDX-License-Identifier: Apache-2.0
// JSON documents from outside, read strictly: a key that occurs twice in an object, nesting beyond
// 64 levels and a size beyond the caller's limit are errors. (nlohmann-json alone keeps the last of
// two equal keys.)
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace lindos::exec {

// Throws Error{kInput} opened by `where`, with line and column for a syntax error.
[[nodiscard]] nlohmann::json parse_json_strictly(std::string_view text, const std::string& where);
// The content of a regular file of at most `limit` bytes. Throws Error{kInput} otherwise.
[[nodiscard]] std::string read_text_file(const std::filesystem::path& file, std::size_t limit);

}  // namespace lindos::exec
