// SPDX-License-Identifier: Apache-2.0
// Strong quantities: SI base units inside (bytes, seconds, FLOP, watts), explicit construction and only
// the operators that mean something, so that Bytes + Flop does not compile.
// GB = 1e9 bytes, GiB = 2^30. FLOP is an amount, FLOP/s a rate; peaks are always dense.
//
//   Seconds t = Bytes{1e9} / BytesPerSecond{50e9};
#pragma once

#include <chrono>
#include <cmath>
#include <compare>

namespace lindos {

template <class Tag>
class Quantity {
 public:
  constexpr Quantity() = default;
  constexpr explicit Quantity(double value) : value_(value) {}
  // The number in the unit that the type is named after.
  [[nodiscard]] constexpr double value() const { return value_; }

  constexpr Quantity& operator+=(Quantity other) {
    value_ += other.value_;
    return *this;
  }
  constexpr Quantity& operator-=(Quantity other) {
    value_ -= other.value_;
    return *this;
  }
  friend constexpr Quantity operator+(Quantity a, Quantity b) { return Quantity(a.value_ + b.value_); }
  friend constexpr Quantity operator-(Quantity a, Quantity b) { return Quantity(a.value_ - b.value_); }
  friend constexpr Quantity operator*(Quantity a, double s) { return Quantity(a.value_ * s); }
  friend constexpr Quantity operator*(double s, Quantity a) { return Quantity(a.value_ * s); }
  friend constexpr Quantity operator/(Quantity a, double s) { return Quantity(a.value_ / s); }
  // A ratio of two equal quantities is a plain number.
  friend constexpr double operator/(Quantity a, Quantity b) { return a.value_ / b.value_; }
  friend constexpr bool operator==(Quantity, Quantity) = default;
  friend constexpr auto operator<=>(Quantity, Quantity) = default;

 private:
  double value_ = 0.0;
};

using Bytes = Quantity<struct BytesTag>;
using BytesPerSecond = Quantity<struct BytesPerSecondTag>;
using Flop = Quantity<struct FlopTag>;
using FlopPerSecond = Quantity<struct FlopPerSecondTag>;
using Watts = Quantity<struct WattsTag>;
using Joules = Quantity<struct JoulesTag>;
using Tokens = Quantity<struct TokensTag>;
using TokensPerSecond = Quantity<struct TokensPerSecondTag>;
using Hertz = Quantity<struct HertzTag>;
using DollarsPerSecond = Quantity<struct DollarsPerSecondTag>;
using DollarsPerJoule = Quantity<struct DollarsPerJouleTag>;
using Seconds = std::chrono::duration<double>;

[[nodiscard]] constexpr Seconds operator/(Bytes moved, BytesPerSecond rate) {
  return Seconds(moved.value() / rate.value());
}
[[nodiscard]] constexpr BytesPerSecond operator/(Bytes moved, Seconds t) {
  return BytesPerSecond(moved.value() / t.count());
}
[[nodiscard]] constexpr Bytes operator*(BytesPerSecond rate, Seconds t) {
  return Bytes(rate.value() * t.count());
}
[[nodiscard]] constexpr Seconds operator/(Flop work, FlopPerSecond rate) {
  return Seconds(work.value() / rate.value());
}
[[nodiscard]] constexpr FlopPerSecond operator/(Flop work, Seconds t) {
  return FlopPerSecond(work.value() / t.count());
}
[[nodiscard]] constexpr Flop operator*(FlopPerSecond rate, Seconds t) {
  return Flop(rate.value() * t.count());
}
[[nodiscard]] constexpr Joules operator*(Watts power, Seconds t) {
  return Joules(power.value() * t.count());
}
[[nodiscard]] constexpr Watts operator/(Joules energy, Seconds t) {
  return Watts(energy.value() / t.count());
}
[[nodiscard]] constexpr DollarsPerSecond operator*(Watts power, DollarsPerJoule price) {
  return DollarsPerSecond(power.value() * price.value());
}
[[nodiscard]] constexpr TokensPerSecond operator/(Tokens n, Seconds t) {
  return TokensPerSecond(n.value() / t.count());
}

inline constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;
inline constexpr double kMiB = 1024.0 * 1024.0;

}  // namespace lindos
