// SPDX-License-Identifier: Apache-2.0
#include "exec/tokenizer/decoder.h"

#include <charconv>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "exec/tokenizer/byte_alphabet.h"
#include "exec/tokenizer/normalizer.h"
#include "exec/tokenizer/pretokenizer.h"
#include "exec/tokenizer/unicode.h"

namespace lindos::exec {
namespace {

constexpr const char* kReplacement = "\xef\xbf\xbd";  // U+FFFD

void fuse(std::vector<std::string>& tokens) { tokens = {fmt::format("{}", fmt::join(tokens, ""))}; }

void decode_byte_level(std::vector<std::string>& tokens) {
  for (std::string& token : tokens) {
    // A token with a character outside the alphabet was added as text: it stands for itself.
    if (find_invalid_utf8(token)) continue;  // bytes of a ByteFallback before us
    if (std::optional<std::string> bytes = from_byte_alphabet(token)) token = std::move(*bytes);
  }
  fuse(tokens);
}

// "<0xE2>" → byte E2.
std::optional<char> byte_of(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return std::nullopt;
  unsigned value = 0;
  const auto [end, error] = std::from_chars(token.data() + 3, token.data() + 5, value, 16);
  if (error != std::errc() || end != token.data() + 5) return std::nullopt;
  return static_cast<char>(value);
}

void decode_byte_fallback(std::vector<std::string>& tokens, bool keep_bytes) {
  std::vector<std::string> decoded;
  std::string run;
  const auto flush = [&] {
    if (run.empty()) return;
    if (keep_bytes || !find_invalid_utf8(run)) {
      decoded.push_back(run);
    } else {
      for (std::size_t i = 0; i < run.size(); ++i) decoded.emplace_back(kReplacement);
    }
    run.clear();
  };
  for (std::string& token : tokens) {
    if (const std::optional<char> byte = byte_of(token)) {
      run += *byte;
    } else {
      flush();
      decoded.push_back(std::move(token));
    }
  }
  flush();
  tokens = std::move(decoded);
}

void decode_metaspace(std::vector<std::string>& tokens, const Metaspace& metaspace) {
  const Pattern mark = Pattern::literal(metaspace.replacement);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const bool drop = i == 0 && metaspace.scheme != PrependScheme::kNever;
    tokens[i] = mark.replace_all(tokens[i], drop ? "" : " ");
  }
}

}  // namespace

Decoder::Decoder(const Component& component) : joins_with_blank_(false) { add(component); }

void Decoder::add(const Component& component) {
  const std::string type = component.type();
  if (type == "Sequence") {
    for (const Component& child : component.children("decoders")) add(child);
  } else if (type == "ByteLevel") {
    steps_.emplace_back([](std::vector<std::string>& tokens, bool) { decode_byte_level(tokens); });
  } else if (type == "ByteFallback") {
    steps_.emplace_back(decode_byte_fallback);
  } else if (type == "Fuse") {
    steps_.emplace_back([](std::vector<std::string>& tokens, bool) { fuse(tokens); });
  } else if (type == "Strip") {
    add_strip(component);
  } else if (type == "Replace") {
    steps_.emplace_back(
        [pattern = read_pattern(component, "pattern"), content = component.text("content")](
            std::vector<std::string>& tokens, bool) {
          for (std::string& token : tokens) {
            // Patterns need UTF-8; the bytes of an unfinished character are not replaced.
            if (!find_invalid_utf8(token)) token = pattern.replace_all(token, content);
          }
        });
  } else if (type == "Metaspace") {
    steps_.emplace_back(
        [metaspace = read_metaspace(component)](std::vector<std::string>& tokens, bool) {
          decode_metaspace(tokens, metaspace);
        });
  } else {
    component.fail_unknown(
        "type", type,
        {"Sequence", "ByteLevel", "ByteFallback", "Fuse", "Strip", "Replace", "Metaspace"});
  }
}

void Decoder::add_strip(const Component& component) {
  const std::string content = component.text("content");
  if (content.empty() || first_character(content).bytes != content.size()) {
    component.fail("content", "expected one character");
  }
  steps_.emplace_back([content, start = component.integer("start"),
                       stop = component.integer("stop")](std::vector<std::string>& tokens, bool) {
    for (std::string& token : tokens) {
      std::string_view kept = token;
      for (std::int64_t i = 0; i < start && kept.starts_with(content); ++i)
        kept.remove_prefix(content.size());
      for (std::int64_t i = 0; i < stop && kept.ends_with(content); ++i)
        kept.remove_suffix(content.size());
      token = std::string(kept);
    }
  });
}

std::string Decoder::decode(std::vector<std::string> tokens, bool keep_bytes) const {
  for (const Step& step : steps_) step(tokens, keep_bytes);
  return fmt::format("{}", fmt::join(tokens, joins_with_blank_ ? " " : ""));
}

}  // namespace lindos::exec
