// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cctype>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/quantity_text.h"

namespace lindos {
namespace {

// A change of case is the likeliest slip in a case-sensitive unit, so it costs half an edit.
constexpr int kCaseChange = 1;
constexpr int kEdit = 2;
// Longer words are not typing errors; the cap also bounds the work on hostile input.
constexpr std::size_t kLongestWord = 64;

int substitution_cost(char a, char b) {
  if (a == b) return 0;
  const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
  return lower(a) == lower(b) ? kCaseChange : kEdit;
}

// Edit distance with transposition of neighbours (optimal string alignment), in half edits.
int distance(std::string_view a, std::string_view b) {
  std::vector<int> before_last(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = static_cast<int>(j) * kEdit;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = static_cast<int>(i) * kEdit;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + kEdit, row[j - 1] + kEdit,
                         last[j - 1] + substitution_cost(a[i - 1], b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before_last[j - 2] + kEdit);
      }
    }
    std::swap(before_last, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::optional<std::string> nearest_spelling(std::string_view word, const std::string* candidates,
                                            std::size_t count) {
  if (word.empty() || word.size() > kLongestWord) return std::nullopt;
  // One edit for short words, about a third of the letters for longer ones.
  const int limit = kEdit * std::max(1, (static_cast<int>(word.size()) + 1) / 3);
  const std::string* best = nullptr;
  int best_distance = limit + 1;
  for (const std::string* c = candidates; c != candidates + count; ++c) {
    if (c->size() > kLongestWord) continue;
    const int d = distance(word, *c);
    if (d < best_distance) {
      best = c;
      best_distance = d;
    }
  }
  if (best == nullptr) return std::nullopt;
  return *best;
}

}  // namespace lindos
