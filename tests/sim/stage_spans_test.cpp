// SPDX-License-Identifier: Apache-2.0
#include "sim/stage_spans.h"

#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace lindos::sim {
namespace {

// Stages of so many ranks, each on a pool, or the ranks on pools of their own.
StagePlan stage(const std::vector<std::string>& pools) {
  StagePlan out;
  for (const std::string& pool : pools) out.ranks.push_back({pool, {}, 0});
  return out;
}

Fabric fabric(const char* kind = "rail-fat-tree") {
  Fabric out;
  out.kind = kind;
  return out;
}

// One pool: consecutive devices, also with context ranks.
TEST(StageSpans, StagesOfOnePoolFollowEachOther) {
  GroupPlan group;
  group.stages = {stage({"a", "a"}), stage({"a", "a", "a"})};
  std::vector<StageSpan> spans = stage_spans(group, fabric(), {{"a", 8}});
  EXPECT_EQ(spans[1].first, 2);
  EXPECT_EQ(spans[1].last, 4);
  group.training.context_parallel = 2;
  spans = stage_spans(group, fabric(), {{"a", 8}});
  EXPECT_EQ(spans[1].first, 4);
  EXPECT_EQ(spans[1].last, 9);
}

// Four devices of a domain of 8, then another pool with domains of 72: its first domain that none of the first pool's reaches.
TEST(StageSpans, AnotherPoolIsInADomainOfItsOwn) {
  GroupPlan group;
  group.stages = {stage({"a", "a", "a", "a"}), stage({"b", "b"}), stage({"b"}), stage({"a"})};
  const std::vector<StageSpan> spans = stage_spans(group, fabric(), {{"a", 8}, {"b", 72}});
  EXPECT_EQ(spans[1].first, 72);
  EXPECT_EQ(spans[2].first, 74);
  for (const std::int64_t domain : {8, 72}) {
    EXPECT_NE(spans[0].first / domain, spans[1].first / domain);
    EXPECT_NE(spans[3].first / domain, spans[2].last / domain);
    EXPECT_NE(spans[3].first / domain, spans[0].first / domain);
  }
  const std::vector<StageSpan> one_machine = stage_spans(group, fabric("shared-memory"), {{"a", 8}, {"b", 72}});
  EXPECT_EQ(one_machine[1].first, 4);
}

// Ranks of one stage on two pools reach each other beyond the domain of either.
TEST(StageSpans, ATensorGroupOverTwoPoolsLeavesItsDomains) {
  GroupPlan group;
  group.stages = {stage({"a", "b"})};
  const StageSpan span = stage_spans(group, fabric(), {{"a", 8}, {"b", 72}}).front();
  EXPECT_TRUE(span.scattered);
  for (const std::int64_t domain : {8, 72}) EXPECT_NE(span.first / domain, span.last_of(2) / domain);
  EXPECT_FALSE(stage_spans(group, fabric("shared-memory"), {{"a", 8}, {"b", 72}}).front().scattered);
}

}  // namespace
}  // namespace lindos::sim
