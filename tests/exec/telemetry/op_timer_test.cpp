// SPDX-License-Identifier: Apache-2.0
#include "exec/telemetry/op_timer.h"

#include <set>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "tests/exec/engine_harness.h"

namespace lindos::exec {
namespace {

TEST(OpTimer, BooksTheTimeSinceTheLastMark) {
  OpTimer timer;
  timer.start();
  std::this_thread::sleep_for(std::chrono::milliseconds(3));
  timer.mark(OpFamily::kQkv);
  timer.mark(OpFamily::kO);
  const Seconds qkv = timer.total(OpFamily::kQkv);
  EXPECT_GE(qkv, std::chrono::milliseconds(3));
  EXPECT_GT(qkv, timer.total(OpFamily::kO));
  std::this_thread::sleep_for(std::chrono::milliseconds(3));
  timer.start();   // what lies before is nobody's
  timer.mark(OpFamily::kQkv);
  EXPECT_LT(timer.total(OpFamily::kQkv) - qkv, std::chrono::milliseconds(3));
  EXPECT_EQ(timer.total(), timer.total(OpFamily::kQkv) + timer.total(OpFamily::kO));
  timer.reset();
  EXPECT_EQ(timer.total(), Seconds{0});
}

TEST(OpFamily, HasANameOfItsOwn) {
  std::set<std::string> names;
  for (std::size_t f = 0; f < kOpFamilies; ++f) names.insert(std::string(name_of(static_cast<OpFamily>(f))));
  EXPECT_EQ(names.size(), kOpFamilies);
  EXPECT_FALSE(names.contains(""));
}

// Predicted and measured ledger meet by family, so each family must have an op in the shared list and the
// matrix work must stay where the engine times it.
TEST(OpFamily, CoversTheSharedList) {
  EngineConfig config = harness::tiny_config({"", {1, 1}, {1, 1}, KvSplit::kReplicate});
  config.model = harness::tiny_moe_model();  // cut as the dense one: each rank has its columns of all experts
  for (StagePlan& stage : config.group.stages) {
    for (RankPlan& rank : stage.ranks) rank.share.experts = {0, config.model.moe.experts};
  }
  std::set<OpFamily> seen;
  for (const ShardId shard : {ShardId{0, 0}, ShardId{1, 1}}) {
    for (const Op& op : step_ops(config.model, config.group, shard, {{0, 12, true}, {30, 1, true}})) {
      const OpFamily family = family_of(op);
      seen.insert(family);
      if (op.kind == OpKind::kGemm || op.kind == OpKind::kMoeGemm) {
        const std::string site = name_of(op.site);
        EXPECT_EQ(site, name_of(family));
      }
    }
  }
  EXPECT_EQ(seen.size(), kOpFamilies - 1);  // copies of KV blocks are no op of the list
  EXPECT_FALSE(seen.contains(OpFamily::kKvCopy));
}

}  // namespace
}  // namespace lindos::exec
