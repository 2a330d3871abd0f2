// SPDX-License-Identifier: Apache-2.0
#include "exec/telemetry/clock_reasons.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

namespace lindos::exec {
namespace {

TEST(ClockReasons, AreASingleBitEachWithItsOwnName) {
  std::set<std::string> names;
  std::uint64_t all = 0;
  for (ClockReason reason : kClockReasons) {
    EXPECT_TRUE(ClockReasons{static_cast<std::uint64_t>(reason)}.has(reason));
    EXPECT_FALSE(ClockReasons{all}.has(reason));
    all |= static_cast<std::uint64_t>(reason);
    names.emplace(name_of(reason));
  }
  EXPECT_EQ(all, 0x1ffu);
  EXPECT_EQ(names.size(), kClockReasons.size());
  EXPECT_EQ(names.count(""), 0u);
}

// The bits and what the ledger makes of them, from the engine's table of limits at work.
TEST(ClockReasons, BelongToOneLossOrNone) {
  for (std::uint64_t harmless : {0x0, 0x1, 0x2, 0x10, 0x100, 0x113, 0x8000}) {
    EXPECT_EQ(loss_of({harmless}), std::nullopt) << harmless;
  }
  for (std::uint64_t power : {0x4, 0x80, 0x84, 0x88, 0x6}) EXPECT_EQ(loss_of({power}), ClockLoss::kPowerCap) << power;
  for (std::uint64_t heat : {0x20, 0x40, 0x48, 0x64, 0xec}) EXPECT_EQ(loss_of({heat}), ClockLoss::kThermal) << heat;
  for (std::uint64_t unknown : {0x8, 0x9, 0x18}) EXPECT_EQ(loss_of({unknown}), ClockLoss::kUnknownSlowdown) << unknown;
}

TEST(ClockReasons, GoToTheLedgerUnlessTheCauseIsUnknown) {
  EXPECT_EQ(cause_of(ClockLoss::kPowerCap), Cause::kPowerCap);
  EXPECT_EQ(cause_of(ClockLoss::kThermal), Cause::kThermal);
  EXPECT_EQ(cause_of(ClockLoss::kUnknownSlowdown), std::nullopt);
}

}  // namespace
}  // namespace lindos::exec
