// SPDX-License-Identifier: Apache-2.0
#include "exec/runner/dynamic_library.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scenarios/error.h"

namespace lindos::exec {
namespace {

using ::testing::HasSubstr;

TEST(DynamicLibrary, SaysOfEachNameWhyItDoesNotLoad) {
  const auto opened = DynamicLibrary::open({"liblindos-absent.so.7", "/nowhere/liblindos-absent.so"});
  const auto* absent = std::get_if<Unavailable>(&opened);
  ASSERT_NE(absent, nullptr);
  EXPECT_THAT(absent->reason, HasSubstr("liblindos-absent.so.7: "));
  EXPECT_THAT(absent->reason, HasSubstr("; /nowhere/liblindos-absent.so: "));
}

TEST(DynamicLibrary, TakesTheFirstNameThatLoads) {
  auto opened = DynamicLibrary::open({"/nowhere/liblindos-absent.so", LINDOS_FAKE_LIBRARY});
  auto* library = std::get_if<DynamicLibrary>(&opened);
  ASSERT_NE(library, nullptr);
  EXPECT_EQ(library->name(), LINDOS_FAKE_LIBRARY);
  const DynamicLibrary moved = std::move(*library);
  auto* twice = moved.symbol<int(int)>("fake_twice");
  ASSERT_NE(twice, nullptr);
  EXPECT_EQ(twice(21), 42);
  EXPECT_EQ(moved.symbol_or_throw<int(int)>("fake_twice")(4), 8);
}

TEST(DynamicLibrary, NamesTheLibraryThatLacksAFunction) {
  auto opened = DynamicLibrary::open({LINDOS_FAKE_LIBRARY});
  const auto& library = std::get<DynamicLibrary>(opened);
  EXPECT_EQ(library.symbol<int(int)>("fake_thrice"), nullptr);
  try {
    (void)library.symbol_or_throw<int(int)>("fake_thrice");
    FAIL() << "no exception";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kEnvironment);
    EXPECT_EQ(e.where(), LINDOS_FAKE_LIBRARY);
    EXPECT_THAT(e.what(), HasSubstr("has no function fake_thrice"));
  }
}

}  // namespace
}  // namespace lindos::exec
