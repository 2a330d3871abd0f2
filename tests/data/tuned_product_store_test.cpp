// SPDX-License-Identifier: Apache-2.0
#include <SQLiteCpp/Database.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/store/migrations/migrations.h"
#include "tests/data/sample_run.h"

namespace lindos::data {
namespace {

const TunedProduct kOne{{"NVIDIA H200", 132, "cuBLASLt 130100"},
                        {128, 4096, 14336, false, true, false},
                        {0x0123456789abcdefULL, 0, ~0ULL, 1, 2, 3, 4, 0x8000000000000000ULL}};

TEST(TunedProductStore, WhatIsRememberedComesBackWithEveryBit) {
  const ScratchFolder folder;
  TunedProduct fp8 = kOne;
  fp8.shape.fp8 = true;
  fp8.shape.logits = true;
  fp8.algorithm[0] = 9;
  {
    Store store = Store::open(folder / "a.db", Store::Mode::kReadWrite);
    EXPECT_TRUE(store.tuned_products().empty());
    store.remember({});
    store.remember({kOne, fp8});
  }
  const Store store = Store::open(folder / "a.db", Store::Mode::kReadOnly);
  EXPECT_THAT(store.tuned_products(), ::testing::UnorderedElementsAre(kOne, fp8));
}

TEST(TunedProductStore, ALaterTimingTakesThePlaceOfAnEarlierOne) {
  const ScratchFolder folder;
  Store store = Store::open(folder / "a.db", Store::Mode::kReadWrite);
  store.remember({kOne});
  TunedProduct again = kOne;
  again.algorithm = {5};
  store.remember({again});
  EXPECT_EQ(store.tuned_products(), std::vector{again});
}

TEST(TunedProductStore, AStoreOfVersion4IsMigrated) {
  const ScratchFolder folder;
  {
    SQLite::Database raw(folder / "old.db", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    raw.exec("PRAGMA application_id = 1280197715");  // "LNDS"
    for (std::size_t i = 0; i < 4; ++i) raw.exec(migrations()[i]);
    raw.exec("PRAGMA user_version = 4");
    raw.exec("INSERT INTO scenario VALUES ('s', 'name', 'text')");
  }
  Store store = Store::open(folder / "old.db", Store::Mode::kReadWrite);
  EXPECT_EQ(store.scenario_text("s"), "text");
  store.remember({kOne});
  EXPECT_EQ(store.tuned_products(), std::vector{kOne});
}

}  // namespace
}  // namespace lindos::data
