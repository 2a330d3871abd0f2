// SPDX-License-Identifier: Apache-2.0
// UTF-8 and the character classes that tokenizers ask for (Unicode data of utf8proc).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lindos::exec {

struct Character {
  std::uint32_t code = 0;
  std::size_t bytes = 0;  // length of its UTF-8 form
};

// Offset of the first byte that does not belong to well-formed UTF-8 (no surrogates, no overlong
// forms).
[[nodiscard]] std::optional<std::size_t> find_invalid_utf8(std::string_view text);
// REQUIRES: `text` is well-formed and not empty.
[[nodiscard]] Character first_character(std::string_view text);
[[nodiscard]] Character last_character(std::string_view text);
void append_utf8(std::string& text, std::uint32_t code);

// Replaces each maximal ill-formed part by U+FFFD, as the Unicode Standard (3.9) recommends.
[[nodiscard]] std::string replace_invalid_utf8(std::string_view bytes);
// Length of a last character that has begun but lacks bytes: 0 … 3.
[[nodiscard]] std::size_t incomplete_tail(std::string_view bytes);

[[nodiscard]] bool is_numeric(std::uint32_t code);     // categories Nd, Nl, No
[[nodiscard]] bool is_whitespace(std::uint32_t code);  // property White_Space
[[nodiscard]] bool is_word(std::uint32_t code);  // \w of UTS 18: alphabetic, mark, digit, connector

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };
[[nodiscard]] std::string normalise(std::string_view text, NormalForm form);
[[nodiscard]] std::string lowercase(std::string_view text);  // character by character, full mapping

}  // namespace lindos::exec
