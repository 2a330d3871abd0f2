// SPDX-License-Identifier: Apache-2.0
#include "sim/serving/engine_class.h"

#include <gtest/gtest.h>

namespace lindos::sim {
namespace {

TEST(EngineClass, IsFoundByTheNameThatTablesUse) {
  ASSERT_NE(find_engine_class("sglang"), nullptr);
  EXPECT_EQ(find_engine_class("sglang")->policy, scheduler::Policy::kPrefillFirst);
  EXPECT_EQ(find_engine_class("SGLang"), nullptr);
}

// The split that docs/serving-accuracy.md declares; a change of it would make held-out errors lies.
TEST(EngineClass, TheFittedPartNeverChanges) {
  EXPECT_TRUE(is_fitted_on("qwen3-32b", "h100-sxm", "trtllm"));
  EXPECT_TRUE(is_fitted_on("qwen3-32b", "h100-sxm", "vllm"));
  EXPECT_TRUE(is_fitted_on("llama-3.1-8b", "h200-sxm", "sglang"));
  EXPECT_FALSE(is_fitted_on("llama-3.1-8b", "h100-sxm", "trtllm"));
  EXPECT_FALSE(is_fitted_on("llama-3.1-70b", "h100-sxm", "vllm"));
  EXPECT_FALSE(is_fitted_on("deepseek-v3", "gb200-nvl72", "trtllm"));
}

TEST(EngineClass, BandsHoldTheirCentre) {
  for (const PointKind kind : {PointKind::kAggregated, PointKind::kDisaggregated, PointKind::kIncomplete}) {
    for (const PointMetric metric : {PointMetric::kTtft, PointMetric::kTpot}) {
      const ErrorBand band = error_band(metric, kind);
      EXPECT_GT(band.low, 0.0);
      EXPECT_LT(band.low, band.high);
    }
  }
}

}  // namespace
}  // namespace lindos::sim
