// SPDX-License-Identifier: Apache-2.0
// Reads a small text file (scenario, catalogue entry, config.json, plan) whole.
#pragma once

#include <filesystem>
#include <string>

namespace lindos {

// Throws Error{kInput} when the path is no regular file, cannot be read, or exceeds 16 MiB (a
// scenario has kilobytes; a larger file is a slip, such as a checkpoint). `where` names who asked,
// e.g. "f.toml:3:1: plan.file".
[[nodiscard]] std::string read_text_file(const std::filesystem::path& path,
                                         const std::string& where);

}  // namespace lindos
