// SPDX-License-Identifier: Apache-2.0
#include "scenarios/toml_table.h"

#include <string>

#include <gtest/gtest.h>

#include "scenarios/error.h"

namespace lindos::testing {
namespace {

// Of the basic plane beyond ASCII.
std::string utf8(char32_t c) {
  const auto byte = [](char32_t bits) { return static_cast<char>(bits); };
  if (c < 0x800) return {byte(0xC0 | (c >> 6)), byte(0x80 | (c & 0x3F))};
  return {byte(0xE0 | (c >> 12)), byte(0x80 | ((c >> 6) & 0x3F)), byte(0x80 | (c & 0x3F))};
}

bool refused(const std::string& text) {
  try {
    (void)parse_toml(text, "x.toml");
    return false;
  } catch (const Error& e) {
    return e.kind() == ErrorKind::kInput;
  }
}

// toml++ 3.3 asks of each character beyond ASCII whether it is a blank, in a function that promises the compiler to be
// never asked for most of them (found by fuzzing with UBSan). What the distribution's library makes of that is right.
TEST(TomlTable, CharactersBeyondAsciiStandInTextsAndCommentsOnly) {
  for (char32_t c = 0xA0; c <= 0xFFFF; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;  // surrogates
    const std::string text = utf8(c);
    ASSERT_TRUE(refused("a = 1\n" + text + "b = 2\n")) << std::hex << static_cast<unsigned>(c);
    ASSERT_TRUE(refused("a = 1\nb" + text + " = 2\n")) << std::hex << static_cast<unsigned>(c);
    ASSERT_TRUE(refused("a = 1 " + text + "\n")) << std::hex << static_cast<unsigned>(c);
  }
  for (const char32_t c : {U'\u00E9', U'\u2014', U'\u3042', U'\uFFFD'}) {
    EXPECT_EQ(parse_toml("# " + utf8(c) + "\na = \"" + utf8(c) + "\"\n", "x.toml")["a"].value<std::string>(), utf8(c));
  }
}

}  // namespace
}  // namespace lindos::testing
