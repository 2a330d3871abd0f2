// SPDX-License-Identifier: Apache-2.0
#include <SQLiteCpp/Database.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/store/migrations/migrations.h"
#include "tests/data/sample_run.h"

namespace lindos::data {
namespace {

const TunedProduct kOne{{"NVIDIA H200", 132, "cuBLASLt 130100"},
                        {128, 4096, 14336, false, true, Dtype::kBf16},
                        {0x0123456789abcdefULL, 0, ~0ULL, 1, 2, 3, 4, 0x8000000000000000ULL}};

TEST(TunedProductStore, WhatIsRememberedComesBackWithEveryBit) {
  const ScratchFolder folder;
  TunedProduct fp8 = kOne;
  fp8.shape.dtype = Dtype::kFp8;
  fp8.shape.logits = true;
  fp8.algorithm[0] = 9;
  TunedProduct f16 = kOne;
  f16.shape.dtype = Dtype::kF16;
  {
    Store store = Store::open(folder / "a.db", Store::Mode::kReadWrite);
    EXPECT_TRUE(store.tuned_products().empty());
    store.remember({});
    store.remember({kOne, fp8, f16});
  }
  const Store store = Store::open(folder / "a.db", Store::Mode::kReadOnly);
  EXPECT_THAT(store.tuned_products(), ::testing::UnorderedElementsAre(kOne, fp8, f16));
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

// A table of version 5 said only whether operands are FP8.
TEST(TunedProductStore, AStoreOfVersion5KeepsWhatItHas) {
  const ScratchFolder folder;
  {
    SQLite::Database raw(folder / "old.db", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    raw.exec("PRAGMA application_id = 1280197715");  // "LNDS"
    for (std::size_t i = 0; i < 5; ++i) raw.exec(migrations()[i]);
    raw.exec("PRAGMA user_version = 5");
    for (const char* fp8 : {"0", "1"}) {
      raw.exec(std::string("INSERT INTO tuned_product VALUES ('NVIDIA H200', 132, 'cuBLASLt 130100', 128, 4096, 14336, 0, 1, ") + fp8 +
               ", zeroblob(64))");
    }
  }
  Store store = Store::open(folder / "old.db", Store::Mode::kReadWrite);
  TunedProduct bf16 = kOne;
  bf16.algorithm = {};
  TunedProduct fp8 = bf16;
  fp8.shape.dtype = Dtype::kFp8;
  EXPECT_THAT(store.tuned_products(), ::testing::UnorderedElementsAre(bf16, fp8));
}

}  // namespace
}  // namespace lindos::data
