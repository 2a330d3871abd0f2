// SPDX-License-Identifier: Apache-2.0
#include "exec/tokenizer/unicode.h"

#include <algorithm>
#include <array>
#include <vector>

#include <utf8proc.h>

#include "scenarios/error.h"

namespace lindos::exec {
namespace {

struct Sequence {
  std::size_t valid = 0;    // length of a well-formed character, 0 if there is none
  std::size_t maximal = 1;  // else: bytes of the longest prefix that could still have become one
  bool ended = false;       // the text ended before the character did
};

// One character by table 3-7 of the Unicode Standard: the second byte's range depends on the first.
Sequence examine(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {1, 1, false};
  std::size_t length = 0;
  unsigned char low = 0x80;
  unsigned char high = 0xbf;
  if (lead >= 0xc2 && lead <= 0xdf) {
    length = 2;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3;
    if (lead == 0xe0) low = 0xa0;
    if (lead == 0xed) high = 0x9f;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4;
    if (lead == 0xf0) low = 0x90;
    if (lead == 0xf4) high = 0x8f;
  } else {
    return {0, 1, false};
  }
  for (std::size_t i = 1; i < length; ++i) {
    if (i == text.size()) return {0, i, true};
    if (byte(i) < low || byte(i) > high) return {0, i, false};
    low = 0x80;
    high = 0xbf;
  }
  return {length, length, false};
}

utf8proc_category_t category(std::uint32_t code) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code));
}

}  // namespace

std::optional<std::size_t> find_invalid_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const Sequence sequence = examine(text.substr(i));
    if (sequence.valid == 0) return i;
    i += sequence.valid;
  }
  return std::nullopt;
}

Character first_character(std::string_view text) {
  const auto bits = [&](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i]));
  };
  const std::uint32_t lead = bits(0);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xe0) return {(lead & 0x1fU) << 6U | (bits(1) & 0x3fU), 2};
  if (lead < 0xf0) return {(lead & 0x0fU) << 12U | (bits(1) & 0x3fU) << 6U | (bits(2) & 0x3fU), 3};
  return {(lead & 0x07U) << 18U | (bits(1) & 0x3fU) << 12U | (bits(2) & 0x3fU) << 6U |
              (bits(3) & 0x3fU),
          4};
}

Character last_character(std::string_view text) {
  std::size_t start = text.size() - 1;
  while (start > 0 && (static_cast<unsigned char>(text[start]) & 0xc0U) == 0x80U) --start;
  return first_character(text.substr(start));
}

void append_utf8(std::string& text, std::uint32_t code) {
  std::array<utf8proc_uint8_t, 4> bytes{};
  const auto length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(code), bytes.data());
  for (utf8proc_ssize_t i = 0; i < length; ++i)
    text += static_cast<char>(bytes[static_cast<std::size_t>(i)]);
}

std::string replace_invalid_utf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  for (std::size_t i = 0; i < bytes.size();) {
    const Sequence sequence = examine(bytes.substr(i));
    if (sequence.valid > 0) {
      text.append(bytes, i, sequence.valid);
      i += sequence.valid;
    } else {
      text += "\xef\xbf\xbd";
      i += sequence.maximal;
    }
  }
  return text;
}

std::size_t incomplete_tail(std::string_view bytes) {
  for (std::size_t length = std::min<std::size_t>(3, bytes.size()); length > 0; --length) {
    const Sequence sequence = examine(bytes.substr(bytes.size() - length));
    if (sequence.ended && sequence.maximal == length) return length;
  }
  return 0;
}

bool is_numeric(std::uint32_t code) {
  const utf8proc_category_t kind = category(code);
  return kind == UTF8PROC_CATEGORY_ND || kind == UTF8PROC_CATEGORY_NL ||
         kind == UTF8PROC_CATEGORY_NO;
}

bool is_whitespace(std::uint32_t code) {
  if ((code >= 0x09 && code <= 0x0d) || code == 0x85) return true;
  const utf8proc_category_t kind = category(code);
  return kind == UTF8PROC_CATEGORY_ZS || kind == UTF8PROC_CATEGORY_ZL ||
         kind == UTF8PROC_CATEGORY_ZP;
}

bool is_word(std::uint32_t code) {
  switch (category(code)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return code == 0x200c || code == 0x200d ||
             (code >= 0x24b6 && code <= 0x24e9);  // joiners, circled letters
  }
}

std::string normalise(std::string_view text, NormalForm form) {
  const bool composes = form == NormalForm::kNfc || form == NormalForm::kNfkc;
  const bool compatible = form == NormalForm::kNfkc || form == NormalForm::kNfkd;
  const auto decompose = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE |
                                                        (compatible ? UTF8PROC_COMPAT : 0));
  std::vector<utf8proc_int32_t> codes;
  codes.reserve(text.size() + 1);
  for (std::size_t i = 0; i < text.size();) {
    const Character character = first_character(text.substr(i));
    i += character.bytes;
    std::array<utf8proc_int32_t, 32> parts{};  // the longest decomposition (U+FDFA) has 18
    const auto count =
        utf8proc_decompose_char(static_cast<utf8proc_int32_t>(character.code), parts.data(),
                                static_cast<utf8proc_ssize_t>(parts.size()), decompose, nullptr);
    LINDOS_ASSERT(count >= 0 && count <= 32, "a code point has a decomposition of bounded length");
    codes.insert(codes.end(), parts.begin(), parts.begin() + count);
  }
  // Canonical order by a stable sort of each run of combining marks. utf8proc's own exchange sort
  // is quadratic, and a megabyte of marks is a legal text.
  const auto combining = [](utf8proc_int32_t code) {
    return utf8proc_get_property(code)->combining_class;
  };
  for (auto run = codes.begin(); run != codes.end();) {
    if (combining(*run) == 0) {
      ++run;
      continue;
    }
    const auto end =
        std::find_if(run, codes.end(), [&](auto code) { return combining(code) == 0; });
    std::stable_sort(run, end, [&](auto a, auto b) { return combining(a) < combining(b); });
    run = end;
  }
  auto length = static_cast<utf8proc_ssize_t>(codes.size());
  if (composes) {
    length = utf8proc_normalize_utf32(
        codes.data(), length, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  }
  std::string normalised;
  normalised.reserve(text.size());
  for (utf8proc_ssize_t i = 0; i < length; ++i) {
    append_utf8(normalised, static_cast<std::uint32_t>(codes[static_cast<std::size_t>(i)]));
  }
  return normalised;
}

std::string lowercase(std::string_view text) {
  std::string lowered;
  lowered.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const Character character = first_character(text.substr(i));
    i += character.bytes;
    if (character.code == 0x130) {
      lowered += "i\xcc\x87";  // the one character whose lower case has two: dotted capital I
    } else {
      append_utf8(lowered, static_cast<std::uint32_t>(
                               utf8proc_tolower(static_cast<utf8proc_int32_t>(character.code))));
    }
  }
  return lowered;
}

}  // namespace lindos::exec
