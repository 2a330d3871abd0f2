// SPDX-License-Identifier: Apache-2.0
#include "exec/tokenizer/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>
#include <pcre2.h>

#include "exec/tokenizer/unicode.h"
#include "scenarios/error.h"

namespace lindos::exec {
namespace {

template <auto Free>
struct Release {
  template <typename T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Code = std::unique_ptr<pcre2_code, Release<pcre2_code_free>>;
using MatchData = std::unique_ptr<pcre2_match_data, Release<pcre2_match_data_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Release<pcre2_match_context_free>>;
using JitStack = std::unique_ptr<pcre2_jit_stack, Release<pcre2_jit_stack_free>>;

constexpr std::size_t kMaxExpression = 16'384;
constexpr std::uint32_t kMatchLimit =
    20'000'000;  // steps of one match; a megabyte of blanks needs about 2 million
constexpr std::uint32_t kHeapLimitKib = 256 * 1024;
constexpr std::size_t kJitStackStart = 32 * 1024;
constexpr std::size_t kJitStackLimit = 64 * 1024 * 1024;
constexpr std::size_t kMaxGrowth = 64;  // of a replacement, against texts that explode

std::string pcre2_message(int code) {
  std::array<PCRE2_UCHAR, 256> buffer{};
  pcre2_get_error_message(code, buffer.data(), buffer.size());
  return reinterpret_cast<const char*>(buffer.data());
}

// tokenizer.json is written for Oniguruma. Where both engines accept a text but read it
// differently, refuse.
void refuse_other_meaning(const std::string& expression, const std::string& where) {
  for (std::size_t i = 0; i + 1 < expression.size(); ++i) {
    const std::string_view pair = std::string_view(expression).substr(i, 2);
    const bool differs =
        pair == "&&" || pair == "\\h" || pair == "\\H" || pair == "\\R" || pair == "\\X";
    if (differs) {
      throw Error(ErrorKind::kInput, where,
                  fmt::format("\"{}\" in a regex is not supported: it means something else here "
                              "than in the tokenizer's "
                              "own engine",
                              pair));
    }
    if (expression[i] == '\\') ++i;
  }
}

}  // namespace

struct Pattern::Compiled {
  Code code;
};

Pattern Pattern::literal(std::string text) {
  Pattern pattern;
  pattern.text_ = std::move(text);
  return pattern;
}

Pattern Pattern::regex(const std::string& expression, const std::string& where) {
  if (expression.size() > kMaxExpression) {
    throw Error(
        ErrorKind::kInput, where,
        fmt::format("regex of {} bytes; the limit is {}", expression.size(), kMaxExpression));
  }
  refuse_other_meaning(expression, where);
  int error = 0;
  PCRE2_SIZE offset = 0;
  // Oniguruma's Ruby syntax lets ^ and $ match at every line: PCRE2 calls that MULTILINE.
  constexpr std::uint32_t kOptions =
      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
  Code code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()), expression.size(),
                          kOptions, &error, &offset, nullptr));
  if (!code) {
    throw Error(ErrorKind::kInput, where,
                fmt::format("regex fails to compile at byte {}: {}", offset, pcre2_message(error)));
  }
  // Without JIT (unsupported machine, hardened kernel) the interpreter gives the same matches, only
  // slower.
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);
  Pattern pattern;
  pattern.text_ = expression;
  pattern.where_ = where;
  pattern.compiled_ = std::make_shared<const Compiled>(Compiled{std::move(code)});
  return pattern;
}

std::vector<Span> Pattern::find_all(std::string_view text) const {
  std::vector<Span> spans;
  if (compiled_) {
    find_regex(text, spans);
  } else {
    find_literal(text, spans);
  }
  return spans;
}

void Pattern::find_literal(std::string_view text, std::vector<Span>& spans) const {
  std::size_t position = 0;
  while (!text_.empty()) {
    const std::size_t hit = text.find(text_, position);
    if (hit == std::string_view::npos) break;
    if (hit > position) spans.push_back({position, hit, false});
    position = hit + text_.size();
    spans.push_back({hit, position, true});
  }
  if (position < text.size()) spans.push_back({position, text.size(), false});
}

void Pattern::find_regex(std::string_view text, std::vector<Span>& spans) const {
  const pcre2_code* code = compiled_->code.get();
  const MatchData match(pcre2_match_data_create_from_pattern(code, nullptr));
  const MatchContext context(pcre2_match_context_create(nullptr));
  if (!match || !context)
    throw Error(ErrorKind::kEnvironment, where_, "out of memory for a regex match");
  pcre2_set_match_limit(context.get(), kMatchLimit);
  pcre2_set_heap_limit(context.get(), kHeapLimitKib);
  JitStack stack;  // the 32 KiB on the machine stack nearly always suffice; a larger one is made on
                   // demand
  std::size_t covered = 0;
  for (std::size_t start = 0; start <= text.size();) {
    const int found = pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                                  start, PCRE2_NO_UTF_CHECK, match.get(), context.get());
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found == PCRE2_ERROR_JIT_STACKLIMIT && !stack) {
      stack.reset(pcre2_jit_stack_create(kJitStackStart, kJitStackLimit, nullptr));
      if (!stack) throw Error(ErrorKind::kEnvironment, where_, "out of memory for a regex match");
      pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
      continue;
    }
    if (found < 0) {
      throw Error(ErrorKind::kInput, where_,
                  fmt::format("regex gave up at byte {} of a text of {}: {}", start, text.size(),
                              pcre2_message(found)));
    }
    const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(match.get());
    const std::size_t begin = bounds[0];
    const std::size_t end = bounds[1];
    if (begin > end || begin < covered) {  // \K inside a look-around can do this
      throw Error(ErrorKind::kInput, where_, "regex gives a match that runs backwards");
    }
    if (begin > covered) spans.push_back({covered, begin, false});
    spans.push_back({begin, end, true});
    covered = end;
    if (end > begin) {
      start = end;
    } else if (end < text.size()) {
      start = end + first_character(text.substr(end)).bytes;
    } else {
      break;
    }
  }
  if (covered < text.size()) spans.push_back({covered, text.size(), false});
}

std::string Pattern::replace_all(std::string_view text, std::string_view content) const {
  std::string replaced;
  for (const Span& span : find_all(text)) {
    if (span.matched) {
      replaced += content;
    } else {
      replaced.append(text, span.begin, span.end - span.begin);
    }
    if (replaced.size() > kMaxGrowth * (text.size() + 64)) {
      throw Error(ErrorKind::kInput, where_,
                  fmt::format("replacing \"{}\" makes a text of {} bytes more than {} times longer",
                              text_, text.size(), kMaxGrowth));
    }
  }
  return replaced;
}

std::vector<Span> apply_behaviour(std::vector<Span> spans, SplitBehaviour behaviour) {
  std::vector<Span> pieces;
  pieces.reserve(spans.size());
  bool previous_matched = false;
  const auto extend_or_push = [&](const Span& span, bool extend) {
    if (extend && !pieces.empty()) {
      pieces.back().begin = std::min(pieces.back().begin, span.begin);
      pieces.back().end = std::max(pieces.back().end, span.end);
    } else {
      pieces.push_back(span);
    }
    previous_matched = span.matched;
  };
  switch (behaviour) {
    case SplitBehaviour::kIsolated:
      return spans;
    case SplitBehaviour::kRemoved:
      std::copy_if(spans.begin(), spans.end(), std::back_inserter(pieces),
                   [](const Span& s) { return !s.matched; });
      return pieces;
    case SplitBehaviour::kContiguous:
      for (const Span& span : spans) extend_or_push(span, span.matched == previous_matched);
      return pieces;
    case SplitBehaviour::kMergedWithPrevious:
      for (const Span& span : spans) extend_or_push(span, span.matched && !previous_matched);
      return pieces;
    case SplitBehaviour::kMergedWithNext:
      std::for_each(spans.rbegin(), spans.rend(), [&](const Span& span) {
        extend_or_push(span, span.matched && !previous_matched);
      });
      std::reverse(pieces.begin(), pieces.end());
      return pieces;
  }
  return pieces;
}

}  // namespace lindos::exec
