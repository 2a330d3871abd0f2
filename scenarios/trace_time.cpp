// SPDX-License-Identifier: Apache-2.0
#include "scenarios/trace_time.h"

#include <charconv>
#include <chrono>
#include <cmath>

namespace lindos {

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr double kMostNs = 0x1p62;

// Takes exactly `digits` digits and then `end` (0: none) off the front.
std::optional<int> take(std::string_view& text, std::size_t digits, char end) {
  if (text.size() < digits + (end == 0 ? 0U : 1U)) return std::nullopt;
  int value = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  if (end != 0 && text[digits] != end) return std::nullopt;
  text.remove_prefix(digits + (end == 0 ? 0U : 1U));
  return value;
}

}  // namespace

std::optional<std::int64_t> parse_trace_units(std::string_view text, std::int64_t unit_ns) {
  std::int64_t whole = 0;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, whole);
  if (read.ec == std::errc() && read.ptr == end) {
    if (std::abs(static_cast<double>(whole)) * static_cast<double>(unit_ns) >= kMostNs) return std::nullopt;
    return whole * unit_ns;
  }
  double number = 0.0;
  const auto real = std::from_chars(text.data(), end, number);
  if (real.ec != std::errc() || real.ptr != end) return std::nullopt;
  const double ns = number * static_cast<double>(unit_ns);
  if (!(std::abs(ns) < kMostNs)) return std::nullopt;
  return std::llround(ns);
}

std::optional<std::int64_t> parse_trace_date(std::string_view text) {
  const auto year = take(text, 4, '-');
  const auto month = year ? take(text, 2, '-') : std::nullopt;
  const auto day = month ? take(text, 2, 0) : std::nullopt;
  if (!day || text.empty() || (text.front() != ' ' && text.front() != 'T')) return std::nullopt;
  text.remove_prefix(1);
  const auto hour = take(text, 2, ':');
  const auto minute = hour ? take(text, 2, ':') : std::nullopt;
  const auto second = minute ? take(text, 2, 0) : std::nullopt;
  if (!second || *hour > 23 || *minute > 59 || *second > 59) return std::nullopt;
  std::int64_t fraction = 0;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    std::int64_t unit = kSecond;
    while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
      unit /= 10;
      fraction += unit * (text.front() - '0');
      text.remove_prefix(1);
    }
    if (unit == kSecond) return std::nullopt;
  }
  if (!text.empty() && text != "Z" && text != "+00:00") return std::nullopt;
  namespace chrono = std::chrono;
  const chrono::year_month_day date{chrono::year(*year), chrono::month(static_cast<unsigned>(*month)),
                                    chrono::day(static_cast<unsigned>(*day))};
  constexpr int kFirstYear = 1824;
  constexpr int kLastYear = 2115;  // ±146 years
  if (!date.ok() || *year < kFirstYear || *year > kLastYear) return std::nullopt;
  const std::int64_t days = chrono::sys_days(date).time_since_epoch().count();
  return ((days * 24 + *hour) * 60 + *minute) * 60 * kSecond + *second * kSecond + fraction;
}

}  // namespace lindos
