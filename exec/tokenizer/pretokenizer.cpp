// SPDX-License-Identifier: Apache-2.0
#include "exec/tokenizer/pretokenizer.h"

#include <utility>

#include "exec/tokenizer/byte_alphabet.h"
#include "exec/tokenizer/normalizer.h"
#include "exec/tokenizer/unicode.h"

namespace lindos::exec {
namespace {

// GPT-2's pattern, which ByteLevel implies with use_regex: contractions, words, numbers, signs,
// blanks.
constexpr const char* kGpt2Expression =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

void push_spans(const Piece& piece, const std::vector<Span>& spans, std::vector<Piece>& out) {
  for (const Span& span : spans) {
    if (span.begin == span.end) continue;
    out.push_back({piece.text.substr(span.begin, span.end - span.begin),
                   piece.opens_input && span.begin == 0});
  }
}

SplitBehaviour read_behaviour(const Component& component) {
  const std::string name = component.text("behavior");
  if (name == "Removed") return SplitBehaviour::kRemoved;
  if (name == "Isolated") return SplitBehaviour::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehaviour::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehaviour::kMergedWithNext;
  if (name == "Contiguous") return SplitBehaviour::kContiguous;
  component.fail_unknown(
      "behavior", name,
      {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"});
}

// Numeric characters as matched spans of one character each.
std::vector<Span> find_digits(std::string_view text) {
  std::vector<Span> spans;
  for (std::size_t i = 0; i < text.size();) {
    const Character character = first_character(text.substr(i));
    const bool digit = is_numeric(character.code);
    if (!digit && !spans.empty() && !spans.back().matched) {
      spans.back().end += character.bytes;
    } else {
      spans.push_back({i, i + character.bytes, digit});
    }
    i += character.bytes;
  }
  return spans;
}

}  // namespace

Metaspace read_metaspace(const Component& component) {
  Metaspace metaspace;
  metaspace.replacement = component.text("replacement");
  if (metaspace.replacement.empty() ||
      first_character(metaspace.replacement).bytes != metaspace.replacement.size()) {
    component.fail("replacement", "expected one character");
  }
  if (component.find("prepend_scheme") != nullptr) {
    const std::string name = component.text("prepend_scheme");
    if (name == "first") {
      metaspace.scheme = PrependScheme::kFirst;
    } else if (name == "never") {
      metaspace.scheme = PrependScheme::kNever;
    } else if (name != "always") {
      component.fail_unknown("prepend_scheme", name, {"first", "never", "always"});
    }
  } else if (!component.flag_or("add_prefix_space", true)) {  // files older than prepend_scheme
    metaspace.scheme = PrependScheme::kNever;
  }
  metaspace.split = component.flag_or("split", true);
  return metaspace;
}

Pretokenizer::Pretokenizer(const Component& component) { add(component); }

void Pretokenizer::add(const Component& component) {
  const std::string type = component.type();
  if (type == "Sequence") {
    for (const Component& child : component.children("pretokenizers")) add(child);
  } else if (type == "Split") {
    add_split(component);
  } else if (type == "ByteLevel") {
    add_byte_level(component);
  } else if (type == "Digits") {
    add_digits(component);
  } else if (type == "Metaspace") {
    add_metaspace(component);
  } else {
    component.fail_unknown("type", type, {"Sequence", "Split", "ByteLevel", "Digits", "Metaspace"});
  }
}

void Pretokenizer::add_split(const Component& component) {
  steps_.emplace_back(
      [pattern = read_pattern(component, "pattern"), behaviour = read_behaviour(component),
       invert = component.flag_or("invert", false)](Piece& piece, std::vector<Piece>& out) {
        std::vector<Span> spans = pattern.find_all(piece.text);
        if (invert) {
          for (Span& span : spans) span.matched = !span.matched;
        }
        push_spans(piece, apply_behaviour(std::move(spans), behaviour), out);
      });
}

void Pretokenizer::add_byte_level(const Component& component) {
  const bool add_prefix_space = component.flag_or("add_prefix_space", true);
  const bool use_regex = component.flag_or("use_regex", true);
  steps_.emplace_back(
      [add_prefix_space, use_regex, pattern = Pattern::regex(kGpt2Expression, component.place())](
          Piece& piece, std::vector<Piece>& out) {
        if (add_prefix_space && !piece.text.starts_with(' ')) piece.text.insert(0, 1, ' ');
        const std::size_t first = out.size();
        if (use_regex) {
          push_spans(piece, pattern.find_all(piece.text), out);
        } else {
          out.push_back(std::move(piece));
        }
        for (std::size_t i = first; i < out.size(); ++i)
          out[i].text = to_byte_alphabet(out[i].text);
      });
}

void Pretokenizer::add_digits(const Component& component) {
  const SplitBehaviour behaviour = component.flag_or("individual_digits", false)
                                       ? SplitBehaviour::kIsolated
                                       : SplitBehaviour::kContiguous;
  steps_.emplace_back([behaviour](Piece& piece, std::vector<Piece>& out) {
    push_spans(piece, apply_behaviour(find_digits(piece.text), behaviour), out);
  });
}

void Pretokenizer::add_metaspace(const Component& component) {
  steps_.emplace_back([metaspace = read_metaspace(component), blank = Pattern::literal(" ")](
                          Piece& piece, std::vector<Piece>& out) {
    piece.text = blank.replace_all(piece.text, metaspace.replacement);
    const bool prepend = metaspace.scheme == PrependScheme::kAlways ||
                         (metaspace.scheme == PrependScheme::kFirst && piece.opens_input);
    if (prepend && !piece.text.starts_with(metaspace.replacement))
      piece.text.insert(0, metaspace.replacement);
    if (metaspace.split) {
      const Pattern mark = Pattern::literal(metaspace.replacement);
      push_spans(piece, apply_behaviour(mark.find_all(piece.text), SplitBehaviour::kMergedWithNext),
                 out);
    } else {
      out.push_back(std::move(piece));
    }
  });
}

std::vector<Piece> Pretokenizer::cut(Piece text) const {
  std::vector<Piece> pieces;
  if (text.text.empty()) return pieces;
  pieces.push_back(std::move(text));
  for (const Step& step : steps_) {
    std::vector<Piece> finer;
    finer.reserve(pieces.size());
    for (Piece& piece : pieces) step(piece, finer);
    pieces = std::move(finer);
  }
  return pieces;
}

}  // namespace lindos::exec
