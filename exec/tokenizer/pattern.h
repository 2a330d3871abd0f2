// SPDX-License-Identifier: Apache-2.0
// A pattern of tokenizer.json, {"String": …} or {"Regex": …}, and the cutting of text along its
// matches. Regexes run in PCRE2 (UTF, UCP, JIT) with match and heap limits. Immutable after
// construction, so threads may share it.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace lindos::exec {

struct Span {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool matched = false;
};

// What becomes of the matched parts when text is cut; the words of tokenizer.json.
enum class SplitBehaviour {
  kRemoved,
  kIsolated,
  kMergedWithPrevious,
  kMergedWithNext,
  kContiguous
};

class Pattern {
 public:
  // Throws Error{kInput} opened by `where` when the regex does not compile or means something else
  // in PCRE2.
  [[nodiscard]] static Pattern regex(const std::string& expression, const std::string& where);
  [[nodiscard]] static Pattern literal(std::string text);

  // Covers `text` (well-formed UTF-8) by matched and unmatched spans in order. Throws Error{kInput}
  // at the limits.
  [[nodiscard]] std::vector<Span> find_all(std::string_view text) const;
  // Every match replaced by `content`. The result may grow to 64 × the text; more is an
  // Error{kInput}.
  [[nodiscard]] std::string replace_all(std::string_view text, std::string_view content) const;

 private:
  struct Compiled;
  Pattern() = default;
  void find_literal(std::string_view text, std::vector<Span>& spans) const;
  void find_regex(std::string_view text, std::vector<Span>& spans) const;

  std::string text_;                          // the literal, or the expression for messages
  std::shared_ptr<const Compiled> compiled_;  // null for a literal
  std::string where_;
};

// Joins spans as the behaviour says and drops what it removes; `matched` of the result has no
// meaning.
[[nodiscard]] std::vector<Span> apply_behaviour(std::vector<Span> spans, SplitBehaviour behaviour);

}  // namespace lindos::exec
