// SPDX-License-Identifier: Apache-2.0
#include "scenarios/quantity_text.h"

#include <cmath>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "scenarios/error.h"

namespace lindos {
namespace {

template <class Parse>
std::string complaint(Parse parse, const std::string& text) {
  try {
    parse(text, "f.toml:1:2: key");
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kInput);
    return e.what();
  }
  return "accepted";
}

TEST(QuantityText, ReadsEachFamily) {
  EXPECT_EQ(parse_bytes("80 GiB", "").value(), 80.0 * 1073741824.0);
  EXPECT_EQ(parse_bytes("141 GB", "").value(), 141e9);
  EXPECT_EQ(parse_bytes("512B", "").value(), 512.0);
  EXPECT_EQ(parse_bytes("2 PB", "").value(), 2e15);
  EXPECT_EQ(parse_bytes("5EB", "").value(), 5e18);  // E is the prefix here, not an exponent
  EXPECT_EQ(parse_bytes_per_second("400 Gb/s", "").value(), 50e9);  // 400e9 bits / 8
  EXPECT_EQ(parse_bytes_per_second("3.35 TB/s", "").value(), 3.35e12);
  EXPECT_EQ(parse_flop_per_second("989 TFLOP/s", "").value(), 989e12);
  EXPECT_EQ(parse_flop_per_second("1.1 EFLOP/s", "").value(), 1.1e18);
  EXPECT_EQ(parse_watts("300 MW", "").value(), 300e6);
  EXPECT_EQ(parse_seconds("10 ms", "").count(), 0.01);
  EXPECT_EQ(parse_seconds("12.5 min", "").count(), 750.0);
  EXPECT_EQ(parse_seconds("2 d", "").count(), 172800.0);
  EXPECT_EQ(parse_tokens_per_second("1e3 token/s", "").value(), 1000.0);
  EXPECT_EQ(parse_hertz("2 /s", "").value(), 2.0);
  EXPECT_EQ(parse_hertz("1e-5 /h", "").value(), 1e-5 / 3600.0);
  EXPECT_EQ(parse_hertz("3 /d", "").value(), 3.0 / 86400.0);
}

// 2.039 × 1e12 and 2039 × 1e9 differ in the last bit when multiplied in binary; the digest must
// not.
TEST(QuantityText, SpellingOfTheUnitDoesNotChangeTheValue) {
  EXPECT_EQ(parse_bytes_per_second("2.039 TB/s", ""), parse_bytes_per_second("2039 GB/s", ""));
  EXPECT_EQ(parse_bytes_per_second("50 GB/s", ""), parse_bytes_per_second("400 Gb/s", ""));
  EXPECT_EQ(parse_seconds("0.7 ms", ""), parse_seconds("700 us", ""));
  EXPECT_EQ(parse_seconds("1.5 h", ""), parse_seconds("90 min", ""));
}

TEST(QuantityText, ComplaintsNameAnExampleOrTheNearestUnit) {
  EXPECT_EQ(
      complaint(parse_bytes_per_second, "400"),
      "f.toml:1:2: key: expected a quantity such as \"400 Gb/s\", saw \"400\" without a unit");
  EXPECT_EQ(complaint(parse_bytes, "many"),
            "f.toml:1:2: key: expected a quantity such as \"80 GiB\", saw \"many\"");
  EXPECT_EQ(complaint(parse_bytes_per_second, "400 gb/s"),
            "f.toml:1:2: key: unknown unit \"gb/s\" in \"400 gb/s\"; did you mean \"Gb/s\"?");
  EXPECT_EQ(
      complaint(parse_flop_per_second, "989 TFLOPS"),
      "f.toml:1:2: key: unknown unit \"TFLOPS\" in \"989 TFLOPS\"; did you mean \"TFLOP/s\"?");
  EXPECT_EQ(complaint(parse_watts, "3 furlongs"),
            "f.toml:1:2: key: unknown unit \"furlongs\" in \"3 furlongs\"; known: W, kW, MW, GW");
  EXPECT_EQ(complaint(parse_seconds, "-1 s"),
            "f.toml:1:2: key: must not be negative, saw \"-1 s\"");
  EXPECT_EQ(complaint(parse_bytes, "1e40 B"),
            "f.toml:1:2: key: \"1e40 B\" is beyond any cluster (limit 1e+21 B)");
  EXPECT_EQ(complaint(parse_bytes, "1e400 B"),
            "f.toml:1:2: key: \"1e400 B\" is beyond any cluster (limit 1e+21 B)");
}

TEST(QuantityText, RefusesWhatIsNotAPlainDecimal) {
  for (const char* text : {"", " ", "nan B", "inf B", "0x10 B", "+1 B", ".5 B", "1. B", "1,000 B",
                           "1 B x", "B", "- B", "1 b", "1 Byte", "1 gib", "1 mB"}) {
    EXPECT_NE(complaint(parse_bytes, text), "accepted") << text;
  }
}

TEST(QuantityText, TinyValuesUnderflowToZeroAndMinusZeroIsZero) {
  EXPECT_EQ(parse_seconds("1e-400 s", "").count(), 0.0);
  EXPECT_FALSE(std::signbit(parse_seconds("-0 s", "").count()));
}

TEST(QuantityText, FormatsWithTheReadablePrefix) {
  EXPECT_EQ(format(Bytes{80.0 * kGiB}), "80 GiB");
  EXPECT_EQ(format(Bytes{80e9}), "80 GB");
  EXPECT_EQ(format(Bytes{0}), "0 B");
  EXPECT_EQ(format(BytesPerSecond{50e9}), "50 GB/s");
  EXPECT_EQ(format(Flop{2.5e15}), "2.5 PFLOP");
  EXPECT_EQ(format(FlopPerSecond{2.5e15}), "2.5 PFLOP/s");
  EXPECT_EQ(format(Watts{300e6}), "300 MW");
  EXPECT_EQ(format(Joules{1500.0}), "1.5 kJ");
  EXPECT_EQ(format(Seconds{0.01}), "10 ms");
  EXPECT_EQ(format(Seconds{0}), "0 s");
  EXPECT_EQ(format(Seconds{750}), "12.5 min");
  EXPECT_EQ(format(TokensPerSecond{12.5}), "12.5 token/s");
  EXPECT_EQ(format(DollarsPerSecond{2.5 / 3600.0}), "2.5 $/h");
  EXPECT_EQ(format(DollarsPerJoule{0.08 / 3.6e6}), "0.08 $/kWh");
  EXPECT_EQ(parse_dollars_per_joule("80 $/MWh", ""), parse_dollars_per_joule("0.08 $/kWh", ""));
  EXPECT_EQ(format(Hertz{2}), "2 /s");
  EXPECT_EQ(format(Hertz{1e-5 / 3600.0}), "1e-05 /h");
}

TEST(NearestSpelling, FindsSlipsAndRefusesStrangers) {
  const std::vector<std::string> names{"nodes", "device", "source", "nodes_per_rack"};
  const auto nearest = [&](const char* w) {
    return nearest_spelling(w, names.data(), names.size());
  };
  EXPECT_EQ(nearest("nodess"), "nodes");
  EXPECT_EQ(nearest("ndoes"), "nodes");
  EXPECT_EQ(nearest("Device"), "device");
  EXPECT_EQ(nearest("node_per_racks"), "nodes_per_rack");
  EXPECT_EQ(nearest("temperature"), std::nullopt);
  EXPECT_EQ(nearest(""), std::nullopt);
  EXPECT_EQ(nearest(std::string(1000, 'n').c_str()), std::nullopt);
}

// Values over many orders of magnitude, mantissas of full length.
rc::Gen<double> positive(int low_exponent, int high_exponent) {
  return rc::gen::apply(
      [](int exponent, int mantissa) {
        return (1.0 + static_cast<double>(mantissa) / 1000000007.0) * std::pow(10.0, exponent);
      },
      rc::gen::inRange(low_exponent, high_exponent), rc::gen::inRange(0, 1000000007));
}

void expect_near_relative(double a, double b) { RC_ASSERT(std::abs(a - b) <= 1e-11 * std::abs(b)); }

RC_GTEST_PROP(QuantityText, ParseOfFormatIsIdentity, ()) {
  const double big = *positive(0, 20);
  const double time = *positive(-9, 9);
  const double rate = *positive(-12, 11);
  const double power = *positive(-3, 11);
  const double price = *positive(-12, 2);
  expect_near_relative(parse_bytes(format(Bytes{big}), "").value(), big);
  expect_near_relative(parse_bytes_per_second(format(BytesPerSecond{big}), "").value(), big);
  expect_near_relative(parse_flop_per_second(format(FlopPerSecond{big}), "").value(), big);
  expect_near_relative(parse_watts(format(Watts{power}), "").value(), power);
  expect_near_relative(parse_seconds(format(Seconds{time}), "").count(), time);
  expect_near_relative(parse_tokens_per_second(format(TokensPerSecond{time}), "").value(), time);
  expect_near_relative(parse_hertz(format(Hertz{rate}), "").value(), rate);
  expect_near_relative(parse_dollars_per_second(format(DollarsPerSecond{price}), "").value(), price);
  expect_near_relative(parse_dollars_per_joule(format(DollarsPerJoule{price}), "").value(), price);
}

RC_GTEST_PROP(QuantityText, ParsingIsMonotone, ()) {
  const double a = *positive(0, 15);
  const double b = *positive(0, 15);
  const bool kept =
      (a < b) == (parse_bytes(format(Bytes{a}), "") < parse_bytes(format(Bytes{b}), ""));
  RC_ASSERT(kept || std::abs(a - b) <= 1e-11 * b);
}

}  // namespace
}  // namespace lindos
