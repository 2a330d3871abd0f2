// SPDX-License-Identifier: Apache-2.0
#include "sim/reliability/checkpoint.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "data/catalogue.h"

namespace lindos::sim {
namespace {

Storage storage() {
  Storage s;
  s.write_bandwidth = BytesPerSecond(2e12);
  s.read_bandwidth = BytesPerSecond(4e12);
  return s;
}

// 405,853,388,800 parameters × (2 + 4 + 4 + 4) bytes = 5.68 TB.
TEST(Checkpoint, HoldsWeightsMasterAndMoments) {
  const Catalogue catalogue =
      load_catalogue(std::filesystem::path(LINDOS_SOURCE_DIR) / "data" / "catalogue");
  const Model& model = catalogue.models.at("llama-3.1-405b");
  EXPECT_EQ(checkpoint_bytes(model, Dtype::kBf16), Bytes(14.0 * 405'853'388'800.0));
  EXPECT_EQ(checkpoint_bytes(model, Dtype::kFp8), Bytes(13.0 * 405'853'388'800.0));
}

// 6 TB at 2 TB/s = 3 s, and 170 s of software; read at 4 TB/s = 1.5 s, and 100 s.
TEST(Checkpoint, ASynchronousSaveStopsTheJobForTheWholeWrite) {
  CheckpointPolicy policy;
  policy.save_overhead = Seconds{170};
  policy.load_overhead = Seconds{100};
  const CheckpointCost expected{Bytes(6e12), Seconds{173}, Seconds{0}, Seconds{101.5}};
  EXPECT_EQ(checkpoint_cost(Bytes(6e12), policy, storage(), 1000), expected);
}

TEST(Checkpoint, AnAsynchronousSaveOnlyForTheCopy) {
  CheckpointPolicy policy;
  policy.asynchronous = true;
  policy.blocking = Seconds{0.5};
  policy.save_overhead = Seconds{170};
  const CheckpointCost expected{Bytes(6e12), Seconds{0.5}, Seconds{173}, Seconds{1.5}};
  EXPECT_EQ(checkpoint_cost(Bytes(6e12), policy, storage(), 1000), expected);
}

// 10 nodes × 50 GB/s = 0.5 TB/s, below both figures of the site; 100 nodes carry more than it.
TEST(Checkpoint, FewNodesAreTheBottleneck) {
  Storage limited = storage();
  limited.node_bandwidth = BytesPerSecond(50e9);
  const CheckpointCost few = checkpoint_cost(Bytes(6e12), {}, limited, 10);
  EXPECT_EQ(few.blocking, Seconds{12});
  EXPECT_EQ(few.read, Seconds{12});
  const CheckpointCost many = checkpoint_cost(Bytes(6e12), {}, limited, 100);
  EXPECT_EQ(many.blocking, Seconds{3});
  EXPECT_EQ(many.read, Seconds{1.5});
}

TEST(Checkpoint, WithoutStorageOnlySoftwareTakesTime) {
  CheckpointPolicy policy;
  policy.save_overhead = Seconds{7};
  EXPECT_EQ(checkpoint_cost(Bytes(6e12), policy, {}, 10).blocking, Seconds{7});
}

// sqrt(2 · 30 s · 11,135 s) = 817.4 s; Daly: 817.4 · (1 + sqrt(30/22,270)/3 + 30/22,270/9) − 30 =
// 797.5 s.
TEST(Checkpoint, YoungAndDaly) {
  EXPECT_NEAR(young_interval(Seconds{30}, Seconds{11'135}).count(), 817.4, 0.1);
  EXPECT_NEAR(daly_interval(Seconds{30}, Seconds{11'135}).count(), 797.5, 0.1);
  // Saves that take longer than two mean times between interruptions: only ever save once per M.
  EXPECT_EQ(daly_interval(Seconds{2'000}, Seconds{900}), Seconds{900});
}

}  // namespace
}  // namespace lindos::sim
