// SPDX-License-Identifier: Apache-2.0
#include "sim/isolated.h"

#include <csignal>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

#include "scenarios/error.h"

namespace lindos::sim {
namespace {

template <class Work>
Error error_of(Work&& work) {
  try {
    static_cast<void>(run_isolated(work));
  } catch (const Error& e) {
    return e;
  }
  ADD_FAILURE() << "no error";
  return {ErrorKind::kInput, "", ""};
}

TEST(Isolated, BytesComeBackWhole) {
  std::string large(3 << 20, '\0');  // far more than a pipe holds
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 31 % 251);
  EXPECT_EQ(run_isolated([&] { return large; }), large);
  EXPECT_EQ(run_isolated([] { return std::string(); }), "");
}

TEST(Isolated, TheChildLeavesTheParentAlone) {
  int value = 1;
  EXPECT_EQ(run_isolated([&] { return std::to_string(++value); }), "2");
  EXPECT_EQ(value, 1);
}

TEST(Isolated, AnErrorKeepsKindPlaceAndMessage) {
  const Error e = error_of([]() -> std::string {
    throw Error(ErrorKind::kInfeasible, "plan.json: /x", "does not fit");
  });
  EXPECT_EQ(e.kind(), ErrorKind::kInfeasible);
  EXPECT_EQ(e.where(), "plan.json: /x");
  EXPECT_STREQ(e.what(), "plan.json: /x: does not fit");
}

TEST(Isolated, AForeignExceptionIsReported) {
  const Error e = error_of([]() -> std::string { throw std::runtime_error("bad day"); });
  EXPECT_EQ(e.kind(), ErrorKind::kEnvironment);
  EXPECT_STREQ(e.what(), "simulation process: bad day");
}

TEST(Isolated, ADeadChildIsNamedByItsSignal) {
  const Error e = error_of([]() -> std::string {
    std::raise(SIGKILL);
    return "";
  });
  EXPECT_EQ(e.kind(), ErrorKind::kEnvironment);
  EXPECT_STREQ(e.what(), "simulation process: ended by signal 9");
}

TEST(Isolated, CancellingEndsAChildThatWouldNotEnd) {
  int asked = 0;
  try {
    static_cast<void>(run_isolated(
        []() -> std::string {
          for (;;) ::pause();
        },
        [&] { return ++asked > 2; }));
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kCancelled);
  }
}

TEST(Isolated, TheChildDoesNotSeeCtrlC) {
  EXPECT_EQ(run_isolated([] {
              std::raise(SIGINT);
              std::raise(SIGTERM);
              return std::string("still here");
            }),
            "still here");
}

TEST(Isolated, AChildThatLeavesEarlyIsNamedByItsStatus) {
  const Error e = error_of([]() -> std::string { ::_exit(7); });
  EXPECT_STREQ(e.what(), "simulation process: ended with status 7 before it reported");
}

}  // namespace
}  // namespace lindos::sim
