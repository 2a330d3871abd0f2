// SPDX-License-Identifier: Apache-2.0
// The standard normal distribution by its upper tail, exact to rounding as far out as doubles go:
// the slowest of 10^6 devices sits where 1 − Phi(z) has lost its digits.
#pragma once

namespace lindos::sim {

// P(Z > z).
[[nodiscard]] double normal_tail(double z);
// z with P(Z > z) = tail. REQUIRES: 0 < tail < 1.
[[nodiscard]] double normal_tail_quantile(double tail);

}  // namespace lindos::sim
