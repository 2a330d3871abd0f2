// SPDX-License-Identifier: Apache-2.0
#include "exec/tokenizer/byte_alphabet.h"

#include <array>

#include "exec/tokenizer/unicode.h"

namespace lindos::exec {
namespace {

constexpr std::uint32_t kAlphabetEnd = 0x100 + 68;

struct Alphabet {
  std::array<std::uint16_t, 256> code_of{};
  std::array<std::int16_t, kAlphabetEnd> byte_of{};
};

constexpr Alphabet make_alphabet() {
  Alphabet alphabet;
  for (auto& byte : alphabet.byte_of) byte = -1;
  std::uint16_t next = 0x100;
  for (std::uint16_t byte = 0; byte < 256; ++byte) {
    const bool visible =
        (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    const std::uint16_t code = visible ? byte : next++;
    alphabet.code_of[byte] = code;
    alphabet.byte_of[code] = static_cast<std::int16_t>(byte);
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = make_alphabet();

}  // namespace

std::string to_byte_alphabet(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() + bytes.size() / 2);
  for (const char byte : bytes)
    append_utf8(text, kAlphabet.code_of[static_cast<unsigned char>(byte)]);
  return text;
}

std::optional<std::string> from_byte_alphabet(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  while (!text.empty()) {
    const Character character = first_character(text);
    text.remove_prefix(character.bytes);
    if (character.code >= kAlphabetEnd || kAlphabet.byte_of[character.code] < 0)
      return std::nullopt;
    bytes += static_cast<char>(kAlphabet.byte_of[character.code]);
  }
  return bytes;
}

}  // namespace lindos::exec
