// SPDX-License-Identifier: Apache-2.0
#include "scenarios/quantity_text.h"

#include <array>
#include <charconv>
#include <cmath>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "scenarios/error.h"

namespace lindos {
namespace {

// value = number × 10^exponent × factor / divisor. The decimal exponent is joined to the number as
// text and rounded once, and factor and divisor are exact, so that "2.039 TB/s" and "2039 GB/s" are
// the same double.
struct Unit {
  std::string name;
  int exponent = 0;
  double factor = 1.0;
  double divisor = 1.0;
};

struct Dimension {
  const char* example;
  std::vector<Unit> units;
  double limit;  // nothing that a cluster has is larger; catches slips of the exponent
  const char* limit_text;
};

constexpr double kBit = 0.125;  // bytes

void append_si(std::vector<Unit>& units, std::string_view prefixes, const std::string& base,
               double factor) {
  static constexpr std::string_view kOrder = " kMGTPE";
  for (const char p : prefixes) {
    const std::string name = p == ' ' ? base : p + base;
    units.push_back({name, 3 * static_cast<int>(kOrder.find(p)), factor, 1.0});
  }
}

void append_binary(std::vector<Unit>& units, const std::string& suffix) {
  double factor = 1024.0;
  for (const char* prefix : {"Ki", "Mi", "Gi", "Ti"}) {
    units.push_back({prefix + suffix, 0, factor, 1.0});
    factor *= 1024.0;
  }
}

const Dimension& bytes_dimension() {
  static const Dimension d = [] {
    Dimension r{"80 GiB", {}, 1e21, "1e+21 B"};
    append_si(r.units, " kMGTPE", "B", 1.0);
    append_binary(r.units, "B");
    return r;
  }();
  return d;
}

const Dimension& byte_rate_dimension() {
  static const Dimension d = [] {
    Dimension r{"400 Gb/s", {}, 1e21, "1e+21 B/s"};
    append_si(r.units, " kMGTPE", "B/s", 1.0);
    append_si(r.units, " kMGTPE", "b/s", kBit);
    append_binary(r.units, "B/s");
    return r;
  }();
  return d;
}

const Dimension& flop_rate_dimension() {
  static const Dimension d = [] {
    Dimension r{"989 TFLOP/s", {}, 1e24, "1e+24 FLOP/s"};
    append_si(r.units, " kMGTPE", "FLOP/s", 1.0);
    return r;
  }();
  return d;
}

const Dimension& power_dimension() {
  static const Dimension d = [] {
    Dimension r{"700 W", {}, 1e12, "1e+12 W"};
    append_si(r.units, " kMG", "W", 1.0);
    return r;
  }();
  return d;
}

const Dimension& time_dimension() {
  static const Dimension d{"10 ms",
                           {{"s", 0, 1.0, 1.0},
                            {"ms", -3, 1.0, 1.0},
                            {"us", -6, 1.0, 1.0},
                            {"ns", -9, 1.0, 1.0},
                            {"min", 0, 60.0, 1.0},
                            {"h", 0, 3600.0, 1.0},
                            {"d", 0, 86400.0, 1.0}},
                           1e10,
                           "1e+10 s"};
  return d;
}

const Dimension& token_rate_dimension() {
  static const Dimension d{"100 token/s", {{"token/s", 0, 1.0, 1.0}}, 1e15, "1e+15 token/s"};
  return d;
}

const Dimension& frequency_dimension() {
  static const Dimension d{"2 /s",
                           {{"/s", 0, 1.0, 1.0},
                            {"/min", 0, 1.0, 60.0},
                            {"/h", 0, 1.0, 3600.0},
                            {"/d", 0, 1.0, 86400.0}},
                           1e12,
                           "1e+12 /s"};
  return d;
}

const Dimension& cost_rate_dimension() {
  static const Dimension d{"2.5 $/h", {{"$/h", 0, 1.0, 3600.0}, {"$/s", 0, 1.0, 1.0}}, 1e9, "1e+9 $/s"};
  return d;
}

const Dimension& energy_price_dimension() {
  static const Dimension d{"0.08 $/kWh",
                           {{"$/kWh", 0, 1.0, 3.6e6}, {"$/MWh", 0, 1.0, 3.6e9}, {"$/J", 0, 1.0, 1.0}},
                           1e3,
                           "1000 $/J"};
  return d;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// A decimal number at the start of a text: its mantissa and exponent, not yet rounded to binary.
struct Decimal {
  std::string_view mantissa;  // sign, digits, point
  int exponent = 0;
  std::size_t length = 0;  // characters read; 0 = there is no number
};

std::size_t skip_digits(std::string_view text, std::size_t at) {
  while (at < text.size() && is_digit(text[at])) ++at;
  return at;
}

Decimal read_decimal(std::string_view text) {
  const std::size_t start = !text.empty() && text[0] == '-' ? 1 : 0;
  std::size_t at = skip_digits(text, start);
  if (at == start) return {};
  if (at < text.size() && text[at] == '.') {
    const std::size_t fraction = skip_digits(text, at + 1);
    if (fraction == at + 1) return {};
    at = fraction;
  }
  Decimal d{text.substr(0, at), 0, at};
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    const bool has_sign = at + 1 < text.size() && (text[at + 1] == '-' || text[at + 1] == '+');
    const std::size_t digits = at + (has_sign ? 2 : 1);
    const std::size_t end = skip_digits(text, digits);
    if (end > digits) {  // otherwise the E belongs to a unit, as in "5EB"
      const std::size_t first = text[at + 1] == '+' ? digits : at + 1;
      // Out of range leaves a value far beyond any limit, which the caller refuses.
      if (std::from_chars(text.data() + first, text.data() + end, d.exponent).ec != std::errc{}) {
        d.exponent = text[at + 1] == '-' ? -9999 : 9999;
      }
      d.length = end;
    }
  }
  return d;
}

std::string quoted(std::string_view text) {
  static constexpr std::size_t kShown = 40;
  return '"' + std::string(text.substr(0, kShown)) + (text.size() > kShown ? "…\"" : "\"");
}

[[noreturn]] void refuse_unit(const Dimension& dimension, std::string_view text,
                              std::string_view unit, const std::string& where) {
  std::vector<std::string> names;
  for (const Unit& u : dimension.units) names.push_back(u.name);
  std::string message = "unknown unit " + quoted(unit) + " in " + quoted(text);
  if (const auto nearest = nearest_spelling(unit, names.data(), names.size())) {
    message += "; did you mean \"" + *nearest + "\"?";
  } else {
    message += "; known:";
    for (std::size_t i = 0; i < names.size(); ++i) message += (i == 0 ? " " : ", ") + names[i];
  }
  throw Error(ErrorKind::kInput, where, message);
}

double parse(std::string_view text, const Dimension& dimension, const std::string& where) {
  const std::string expected =
      std::string("expected a quantity such as \"") + dimension.example + '"';
  const Decimal number = read_decimal(text);
  if (number.length == 0) throw Error(ErrorKind::kInput, where, expected + ", saw " + quoted(text));
  std::string_view unit_text = text.substr(number.length);
  while (!unit_text.empty() && unit_text.front() == ' ') unit_text.remove_prefix(1);
  if (unit_text.empty()) {
    throw Error(ErrorKind::kInput, where, expected + ", saw " + quoted(text) + " without a unit");
  }
  const Unit* unit = nullptr;
  for (const Unit& u : dimension.units) {
    if (u.name == unit_text) unit = &u;
  }
  if (unit == nullptr) refuse_unit(dimension, text, unit_text, where);

  const std::string joined =
      std::string(number.mantissa) + 'e' + std::to_string(number.exponent + unit->exponent);
  double value = 0.0;
  const auto read = std::from_chars(joined.data(), joined.data() + joined.size(), value);
  const bool negative = number.mantissa.front() == '-';
  // from_chars reports overflow and underflow alike; an underflow has a negative exponent.
  const bool overflow = read.ec == std::errc::result_out_of_range && number.exponent > 0;
  value = value * unit->factor / unit->divisor;
  if (negative && (value != 0.0 || read.ec != std::errc{})) {
    throw Error(ErrorKind::kInput, where, "must not be negative, saw " + quoted(text));
  }
  if (overflow || value > dimension.limit) {
    throw Error(ErrorKind::kInput, where,
                quoted(text) + " is beyond any cluster (limit " + dimension.limit_text + ")");
  }
  if (read.ec != std::errc{}) return 0.0;
  return negative ? 0.0 : value;  // "-0" is 0
}

// Up to 12 significant digits, no trailing zeros.
std::string digits(double value) {
  std::array<char, 32> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                 std::chars_format::general, 12);
  return std::string(buffer.data(), end.ptr);
}

struct Step {
  double scale;
  const char* unit;
};

// The largest unit of which there is at least one; the first of `steps` (the smallest) otherwise.
std::string scaled(double value, std::span<const Step> steps) {
  const Step* best = steps.data();
  for (const Step& s : steps) {
    if (std::abs(value) >= s.scale) best = &s;
  }
  return digits(value / best->scale) + ' ' + best->unit;
}

std::string scaled_si(double value, const std::string& base) {
  static constexpr std::array<const char*, 7> kPrefixes{"", "k", "M", "G", "T", "P", "E"};
  std::size_t i = 0;
  double scale = 1.0;
  while (i + 1 < kPrefixes.size() && std::abs(value) >= scale * 1000.0) {
    scale *= 1000.0;
    ++i;
  }
  return digits(value / scale) + ' ' + kPrefixes[i] + base;
}

}  // namespace

Bytes parse_bytes(std::string_view text, const std::string& where) {
  return Bytes(parse(text, bytes_dimension(), where));
}
BytesPerSecond parse_bytes_per_second(std::string_view text, const std::string& where) {
  return BytesPerSecond(parse(text, byte_rate_dimension(), where));
}
FlopPerSecond parse_flop_per_second(std::string_view text, const std::string& where) {
  return FlopPerSecond(parse(text, flop_rate_dimension(), where));
}
Watts parse_watts(std::string_view text, const std::string& where) {
  return Watts(parse(text, power_dimension(), where));
}
Seconds parse_seconds(std::string_view text, const std::string& where) {
  return Seconds(parse(text, time_dimension(), where));
}
TokensPerSecond parse_tokens_per_second(std::string_view text, const std::string& where) {
  return TokensPerSecond(parse(text, token_rate_dimension(), where));
}
Hertz parse_hertz(std::string_view text, const std::string& where) {
  return Hertz(parse(text, frequency_dimension(), where));
}
DollarsPerSecond parse_dollars_per_second(std::string_view text, const std::string& where) {
  return DollarsPerSecond(parse(text, cost_rate_dimension(), where));
}
DollarsPerJoule parse_dollars_per_joule(std::string_view text, const std::string& where) {
  return DollarsPerJoule(parse(text, energy_price_dimension(), where));
}

// Capacities come in powers of two or ten; the shorter rendering is the one that was meant.
std::string format(Bytes v) {
  const std::string decimal = scaled_si(v.value(), "B");
  if (std::abs(v.value()) < 1024.0) return decimal;
  static constexpr std::array<Step, 4> kBinary{
      {{1024.0, "KiB"}, {kMiB, "MiB"}, {kGiB, "GiB"}, {kGiB * 1024.0, "TiB"}}};
  const std::string binary = scaled(v.value(), kBinary);
  return binary.size() - 1 < decimal.size() ? binary
                                            : decimal;  // "KiB" is one letter longer than "kB"
}
std::string format(BytesPerSecond v) { return scaled_si(v.value(), "B/s"); }
std::string format(Flop v) { return scaled_si(v.value(), "FLOP"); }
std::string format(FlopPerSecond v) { return scaled_si(v.value(), "FLOP/s"); }
std::string format(Watts v) {
  static constexpr std::array<Step, 4> kSteps{{{1.0, "W"}, {1e3, "kW"}, {1e6, "MW"}, {1e9, "GW"}}};
  return scaled(v.value(), kSteps);
}
std::string format(Joules v) { return scaled_si(v.value(), "J"); }
std::string format(Seconds v) {
  if (v.count() == 0.0) return "0 s";
  static constexpr std::array<Step, 7> kSteps{{{1e-9, "ns"},
                                               {1e-6, "us"},
                                               {1e-3, "ms"},
                                               {1.0, "s"},
                                               {60.0, "min"},
                                               {3600.0, "h"},
                                               {86400.0, "d"}}};
  return scaled(v.count(), kSteps);
}
std::string format(TokensPerSecond v) { return digits(v.value()) + " token/s"; }
// Failure rates per device are tiny per second; people think of them per hour.
std::string format(Hertz v) {
  if (v.value() == 0.0 || std::abs(v.value()) >= 0.01) return digits(v.value()) + " /s";
  return digits(v.value() * 3600.0) + " /h";
}
std::string format(DollarsPerSecond v) { return digits(v.value() * 3600.0) + " $/h"; }
std::string format(DollarsPerJoule v) { return digits(v.value() * 3.6e6) + " $/kWh"; }

}  // namespace lindos
