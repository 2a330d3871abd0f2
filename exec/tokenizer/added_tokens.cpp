// SPDX-License-Identifier: Apache-2.0
#include "exec/tokenizer/added_tokens.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "exec/tokenizer/unicode.h"

namespace lindos::exec {
namespace {
constexpr std::size_t kMaxContent = 1024;  // bounds the work per position of the text
}

AddedTokens::AddedTokens(const std::vector<Component>& components, const Bpe& bpe,
                         const Normalizer& normalizer) {
  tokens_.reserve(components.size());
  for (const Component& component : components) {
    AddedToken token;
    token.content = component.text("content");
    token.id = static_cast<std::int32_t>(component.integer("id"));
    token.special = component.flag_or("special", false);
    token.single_word = component.flag_or("single_word", false);
    token.lstrip = component.flag_or("lstrip", false);
    token.rstrip = component.flag_or("rstrip", false);
    token.normalized = component.flag_or("normalized", !token.special);
    if (token.content.size() > kMaxContent) {
      component.fail("content", fmt::format("has {} bytes; the limit is {}", token.content.size(),
                                            kMaxContent));
    }
    const auto in_vocabulary = bpe.find_id(token.content);
    if (in_vocabulary && *in_vocabulary != token.id) {
      component.fail("id", fmt::format("is {}, but the vocabulary gives \"{}\" the id {}", token.id,
                                       token.content, *in_vocabulary));
    }
    const std::string* other = bpe.find_token(token.id);
    if (other != nullptr && *other != token.content) {
      component.fail("id",
                     fmt::format("is {}, which the vocabulary gives to \"{}\"", token.id, *other));
    }
    if (!by_id_.emplace(token.id, tokens_.size()).second) {
      component.fail("id", fmt::format("{} is used by two added tokens", token.id));
    }
    Trie& trie = token.normalized ? normalised_ : raw_;
    trie.insert(token.normalized ? normalizer.apply(token.content) : token.content, tokens_.size());
    tokens_.push_back(std::move(token));
  }
}

void AddedTokens::Trie::insert(std::string_view text, std::size_t token) {
  if (text.empty()) return;  // an empty token never stands in a text
  std::uint32_t node = 0;
  for (const char byte : text) {
    const std::uint64_t edge =
        static_cast<std::uint64_t>(node) << 8U | static_cast<unsigned char>(byte);
    const auto [found, is_new] = next.emplace(edge, nodes);
    if (is_new) ++nodes;
    node = found->second;
  }
  token_of.emplace(node, token);  // of two equal contents the first counts
}

const AddedToken* AddedTokens::find(std::int32_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &tokens_[found->second];
}

std::int32_t AddedTokens::largest_id() const {
  std::int32_t largest = -1;
  for (const AddedToken& token : tokens_) largest = std::max(largest, token.id);
  return largest;
}

bool AddedTokens::stands_alone(std::string_view text, std::size_t begin, std::size_t end) {
  const bool word_before = begin > 0 && is_word(last_character(text.substr(0, begin)).code);
  const bool word_after = end < text.size() && is_word(first_character(text.substr(end)).code);
  return !word_before && !word_after;
}

std::vector<AddedTokens::Segment> AddedTokens::split(std::string_view text,
                                                     const Trie& trie) const {
  std::vector<Segment> segments;
  std::size_t covered = 0;
  for (std::size_t start = 0; start < text.size() && !trie.next.empty();) {
    // Longest token that begins here.
    std::optional<std::size_t> longest;
    std::size_t stop = start;
    std::uint32_t node = 0;
    for (std::size_t i = start; i < text.size(); ++i) {
      const auto edge = trie.next.find(static_cast<std::uint64_t>(node) << 8U |
                                       static_cast<unsigned char>(text[i]));
      if (edge == trie.next.end()) break;
      node = edge->second;
      if (const auto hit = trie.token_of.find(node); hit != trie.token_of.end()) {
        longest = hit->second;
        stop = i + 1;
      }
    }
    if (!longest) {
      ++start;
      continue;
    }
    const AddedToken& token = tokens_[*longest];
    std::size_t begin = start;
    std::size_t end = stop;
    start = stop;  // the search goes on behind the match itself, whatever blanks it takes
    if (token.single_word && !stands_alone(text, begin, end)) continue;
    while (token.lstrip && begin > covered) {
      const Character before = last_character(text.substr(covered, begin - covered));
      if (!is_whitespace(before.code)) break;
      begin -= before.bytes;
    }
    while (token.rstrip && end < text.size()) {
      const Character after = first_character(text.substr(end));
      if (!is_whitespace(after.code)) break;
      end += after.bytes;
    }
    if (covered < begin) segments.push_back({covered, begin, nullptr});
    segments.push_back({std::max(begin, covered), end, &token});
    covered = end;
    start = std::max(start, covered);
  }
  if (covered < text.size()) segments.push_back({covered, text.size(), nullptr});
  return segments;
}

}  // namespace lindos::exec
