// SPDX-License-Identifier: Apache-2.0
// Sampled decoding: draws belong to (seed, request, position), not to ranks.
#include <set>

#include <gtest/gtest.h>

#include "tests/exec/engine_harness.h"

namespace lindos::exec {
namespace {

using harness::Layout;
using harness::Tokens;

std::vector<Tokens> outputs(const Layout& layout, const kernels::SamplingParameters& sampling) {
  EngineConfig config = harness::tiny_config(layout);
  config.sampling = sampling;
  const std::vector<Tokens> prompts = {harness::make_prompt(6, 1, 200), harness::make_prompt(21, 2, 200)};
  return harness::Engine(config).serve(prompts, 24).outcome.outputs;
}

kernels::SamplingParameters warm(std::uint64_t seed) {
  kernels::SamplingParameters sampling;
  sampling.temperature = 0.8;
  sampling.seed = seed;
  return sampling;
}

TEST(Sampling, GivesTheSameTokensUnderEachLayout) {
  kernels::SamplingParameters narrow = warm(3);
  narrow.top_k = 12;
  narrow.top_p = 0.9;
  const auto wide_expected = outputs({}, warm(3));
  const auto narrow_expected = outputs({}, narrow);
  EXPECT_NE(wide_expected, narrow_expected);
  for (const Layout& layout : harness::all_layouts()) {
    EXPECT_EQ(outputs(layout, warm(3)), wide_expected) << layout.name;
    EXPECT_EQ(outputs(layout, narrow), narrow_expected) << layout.name;
  }
}

TEST(Sampling, DependsOnTheSeed) {
  std::set<std::vector<Tokens>> different;
  for (std::uint64_t seed = 0; seed < 8; ++seed) different.insert(outputs({}, warm(seed)));
  EXPECT_EQ(different.size(), 8U);
}

TEST(Sampling, IsGreedyWithoutTemperatureOrWithOneCandidate) {
  const auto greedy = outputs({}, {});
  kernels::SamplingParameters cold;
  cold.seed = 99;
  cold.top_k = 7;
  EXPECT_EQ(outputs({}, cold), greedy);
  kernels::SamplingParameters one = warm(5);
  one.top_k = 1;
  EXPECT_EQ(outputs({}, one), greedy);
  EXPECT_NE(outputs({}, warm(5)), greedy);
}

}  // namespace
}  // namespace lindos::exec
