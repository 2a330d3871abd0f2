// SPDX-License-Identifier: Apache-2.0
// GPT-2's one-to-one map between bytes and printable characters: a byte that is a visible Latin-1
// character stands for itself, the other 68 become U+0100, U+0101, … in byte order.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lindos::exec {

[[nodiscard]] std::string to_byte_alphabet(std::string_view bytes);
// The bytes that `text` stands for; nullopt when a character is not in the alphabet.
// REQUIRES: `text` is well-formed UTF-8.
[[nodiscard]] std::optional<std::string> from_byte_alphabet(std::string_view text);

}  // namespace lindos::exec
