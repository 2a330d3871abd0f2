// SPDX-License-Identifier: Apache-2.0
#include "scenarios/ledger.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "scenarios/ceilings.h"
#include "scenarios/error.h"

namespace lindos {
namespace {

using ::testing::HasSubstr;

// One booking of a random run; small integers keep the arithmetic of the generator readable.
struct Booking {
  Cause cause;
  double seconds;
  double peak;
};

rc::Gen<Booking> any_booking() {
  return rc::gen::map(rc::gen::tuple(rc::gen::inRange(0, static_cast<int>(kCauseCount)),
                                     rc::gen::inRange(0, 1000000), rc::gen::inRange(1, 2000)),
                      [](const auto& t) {
                        return Booking{static_cast<Cause>(std::get<0>(t)), std::get<1>(t) * 1e-6,
                                       std::get<2>(t) * 1e12};
                      });
}

Ledger booked(const std::vector<Booking>& bookings) {
  Ledger ledger;
  for (const Booking& b : bookings) ledger.book(b.cause, Seconds{b.seconds}, FlopPerSecond{b.peak});
  return ledger;
}

double sum_of_shares(const std::vector<LedgerEntry>& entries) {
  double sum = 0.0;
  for (const LedgerEntry& entry : entries) sum += entry.share;
  return sum;
}

TEST(Ledger, EveryCauseHasItsOwnNameAndIsFoundByIt) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < kCauseCount; ++i) {
    const auto cause = static_cast<Cause>(i);
    EXPECT_FALSE(name_of(cause).empty());
    EXPECT_FALSE(label_of(cause).empty());
    EXPECT_TRUE(sentence_of(cause).ends_with('.')) << name_of(cause);
    names.insert(name_of(cause));
    EXPECT_EQ(find_cause(name_of(cause)), cause);
  }
  EXPECT_EQ(names.size(), kCauseCount);
  EXPECT_EQ(name_of(Cause::kUseful), "useful");
  EXPECT_EQ(name_of(Cause::kCheckpointIo), "checkpoint_io");
  EXPECT_EQ(name_of(Cause::kNotAllocated), "not_allocated");
  EXPECT_FALSE(find_cause("idle"));
}

// 10 ms on a device of 100 TFLOP/s and 1 TB/s; 0.2 TFLOP need 2 ms, 5 GB need 5 ms. So 2 ms useful,
// memory adds 5 − 2 = 3 ms, the other 5 ms are inefficiency.
TEST(Ledger, KernelTimeIsSplitByTheRoofline) {
  Ledger ledger;
  ledger.book_kernel(Seconds{10e-3}, Flop{0.2e12}, Bytes{5e9}, FlopPerSecond{100e12},
                     BytesPerSecond{1e12});
  EXPECT_NEAR(ledger.share(Cause::kUseful), 0.2, 1e-12);
  EXPECT_NEAR(ledger.share(Cause::kMemoryBound), 0.3, 1e-12);
  EXPECT_NEAR(ledger.share(Cause::kKernelInefficiency), 0.5, 1e-12);
  EXPECT_NEAR(ledger.capacity_flop(), 10e-3 * 100e12, 1.0);
}

// A timer that reads less than the roofline allows must not book a negative rest.
TEST(Ledger, KernelFasterThanTheRooflineBooksItsTimeOnly) {
  Ledger ledger;
  ledger.book_kernel(Seconds{1e-3}, Flop{0.2e12}, Bytes{5e9}, FlopPerSecond{100e12},
                     BytesPerSecond{1e12});
  EXPECT_DOUBLE_EQ(ledger.share(Cause::kUseful), 1.0);
  EXPECT_NEAR(ledger.capacity_flop(), 1e-3 * 100e12, 1.0);
}

// Half a second on 300 TFLOP/s idle, half a second on 100 TFLOP/s useful: 50 of 200 TFLOP.
TEST(Ledger, TimeIsWeightedByPeak) {
  Ledger ledger;
  ledger.book(Cause::kNoWork, Seconds{0.5}, FlopPerSecond{300e12});
  ledger.book(Cause::kUseful, Seconds{0.5}, FlopPerSecond{100e12});
  EXPECT_DOUBLE_EQ(ledger.share(Cause::kUseful), 0.25);
}

TEST(Ledger, AnEmptyLedgerHasNoShares) { EXPECT_EQ(Ledger().share(Cause::kUseful), 0.0); }

RC_GTEST_PROP(LedgerProperty, EntriesAreNotNegativeAndSumToOne, ()) {
  auto bookings = *rc::gen::nonEmpty(rc::gen::container<std::vector<Booking>>(any_booking()));
  bookings.push_back({Cause::kUseful, 1e-3, 1e12});  // never of zero capacity
  const auto entries = ledger_entries(booked(bookings));
  for (const LedgerEntry& entry : entries) RC_ASSERT(entry.share >= 0.0);
  RC_ASSERT(std::abs(sum_of_shares(entries) - 1.0) < 1e-9);
}

RC_GTEST_PROP(LedgerProperty, OrderOfBookingAndMergingDoesNotMatter, ()) {
  const auto bookings = *rc::gen::container<std::vector<Booking>>(any_booking());
  const auto cut = *rc::gen::inRange<std::size_t>(0, bookings.size() + 1);
  std::vector<Booking> reversed(bookings.rbegin(), bookings.rend());
  Ledger merged = booked({bookings.begin() + static_cast<std::ptrdiff_t>(cut), bookings.end()});
  merged.merge(booked({bookings.begin(), bookings.begin() + static_cast<std::ptrdiff_t>(cut)}));
  const Ledger forward = booked(bookings);
  const Ledger backward = booked(reversed);
  for (std::size_t i = 0; i < kCauseCount; ++i) {
    const auto cause = static_cast<Cause>(i);
    RC_ASSERT(std::abs(forward.share(cause) - backward.share(cause)) < 1e-12);
    RC_ASSERT(std::abs(forward.share(cause) - merged.share(cause)) < 1e-12);
  }
}

RC_GTEST_PROP(LedgerProperty, KernelPartsSumToItsTime, (int time, int flop, int bytes)) {
  const double t = std::abs(static_cast<double>(time)) * 1e-7;
  Ledger ledger;
  ledger.book_kernel(Seconds{t}, Flop{std::abs(static_cast<double>(flop)) * 1e9},
                     Bytes{std::abs(static_cast<double>(bytes)) * 1e6}, FlopPerSecond{989e12},
                     BytesPerSecond{3.35e12});
  RC_ASSERT(std::abs(ledger.capacity_flop() - t * 989e12) <= 1e-9 * t * 989e12);
  RC_ASSERT(ledger.amount(Cause::kKernelInefficiency) >= 0.0);
}

// A machine whose every kernel takes FLOP/peak and moves no more than it can hide.
RC_GTEST_PROP(LedgerProperty, APerfectMachineBooksOnlyUsefulTime, ()) {
  const auto sizes =
      *rc::gen::nonEmpty(rc::gen::container<std::vector<int>>(rc::gen::inRange(1, 1000000)));
  const FlopPerSecond peak{989e12};
  const BytesPerSecond bandwidth{3.35e12};
  Ledger ledger;
  for (const int size : sizes) {
    const Flop flop{size * 1e9};
    ledger.book_kernel(flop / peak, flop, bandwidth * (flop / peak) * 0.5, peak, bandwidth);
  }
  const auto entries = ledger_entries(ledger);
  RC_ASSERT(entries.size() == 1U);
  RC_ASSERT(entries.front() == (LedgerEntry{Cause::kUseful, 1.0, 1.0, 1.0}));
}

TEST(Ledger, ClosingBooksTheRest) {
  Ledger ledger;
  ledger.book(Cause::kUseful, Seconds{1}, FlopPerSecond{10});
  ledger.close(40.0, Cause::kNotAllocated);
  EXPECT_DOUBLE_EQ(ledger.share(Cause::kUseful), 0.25);
  EXPECT_DOUBLE_EQ(ledger.share(Cause::kNotAllocated), 0.75);
}

TEST(Ledger, ClosingForgivesRoundingOnly) {
  Ledger rounded;
  rounded.book(Cause::kUseful, Seconds{1.0 + 5e-7}, FlopPerSecond{1});
  rounded.close(1.0, Cause::kNoWork);
  EXPECT_EQ(rounded.amount(Cause::kNoWork), 0.0);

  Ledger twice;
  twice.book(Cause::kUseful, Seconds{2}, FlopPerSecond{1});
  try {
    twice.close(1.0, Cause::kNoWork);
    FAIL() << "time was booked twice";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kEnvironment);
    EXPECT_THAT(error.what(), HasSubstr("booked twice"));
  }
}

// Useful shares 0.1, 0.2, 0.3, 0.4, 0.5: mean 0.3; type 7 over five values puts p10 at position
// 0.4, so 0.1 + 0.4 · 0.1 = 0.14, and p90 at position 3.6, so 0.4 + 0.6 · 0.1 = 0.46.
TEST(Ledger, DrawsGiveMeanAndQuantiles) {
  std::vector<Ledger> draws(5);
  for (std::size_t i = 0; i < draws.size(); ++i) {
    draws[i].book(Cause::kUseful, Seconds{0.1 * static_cast<double>(i + 1)}, FlopPerSecond{1e12});
    draws[i].close(1e12, Cause::kNoWork);
  }
  const auto entries = ledger_entries(draws);
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].cause, Cause::kUseful);
  EXPECT_NEAR(entries[0].share, 0.3, 1e-12);
  EXPECT_NEAR(entries[0].p10, 0.14, 1e-12);
  EXPECT_NEAR(entries[0].p90, 0.46, 1e-12);
  EXPECT_EQ(entries[1].cause, Cause::kNoWork);
  EXPECT_NEAR(sum_of_shares(entries), 1.0, 1e-12);
}

TEST(Ledger, UsefulStandsInTheEntriesEvenWhenNothingWas) {
  Ledger ledger;
  ledger.book(Cause::kNotAllocated, Seconds{1}, FlopPerSecond{1});
  const auto entries = ledger_entries(ledger);
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries.front(), (LedgerEntry{Cause::kUseful, 0.0, 0.0, 0.0}));
}

// By hand: 30 GB read in 2 s of 20 GB/s; ops that the ceilings allow in 0.9 s took 1.2 s.
TEST(Ceilings, UtilisationOfARun) {
  RunWork work{0.25, Bytes{30e9}, Seconds{0.9}, Seconds{1.2}, BytesPerSecond{20e9}, Seconds{2}};
  EXPECT_EQ(utilisation(work).mfu, 0.25);
  EXPECT_DOUBLE_EQ(utilisation(work).mbu, 0.75);
  EXPECT_DOUBLE_EQ(utilisation(work).roofline, 0.75);
  work.speed_of_light = work.busy = Seconds{0};
  EXPECT_EQ(utilisation(work).roofline, 0.0);
}

}  // namespace
}  // namespace lindos
