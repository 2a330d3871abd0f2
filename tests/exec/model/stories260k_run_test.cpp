// SPDX-License-Identifier: Apache-2.0
// A trained checkpoint tells its story, however it is cut.
#include <memory>
#include <optional>

#include <gtest/gtest.h>

#include "tests/exec/engine_harness.h"
#include "tests/exec/stories260k.h"

namespace lindos::exec {
namespace {

using harness::Layout;

class StoriesRun : public ::testing::TestWithParam<Layout> {};

TEST_P(StoriesRun, TellsTheExpectedStory) {
  std::optional<golden::Stories260k> stories = golden::find_stories260k();
  if (!stories) GTEST_SKIP() << "no " << golden::stories260k_folder();
  const std::shared_ptr<const Checkpoint> checkpoint = std::move(stories->checkpoint);
  harness::Engine engine(harness::make_config(stories->model, checkpoint, GetParam()));
  EXPECT_EQ(stories->decode(engine.generate({1}, 200)), stories->expected_text);
}

INSTANTIATE_TEST_SUITE_P(
    Layouts, StoriesRun,
    ::testing::Values(Layout{}, Layout{"Tensor2", {1, 1}, {1}, KvSplit::kReplicate},
                      Layout{"Tensor4", {1, 1, 1, 1}, {1}, KvSplit::kReplicate},
                      // Four KV heads on eight ranks: each is held twice.
                      Layout{"Tensor8", {1, 1, 1, 1, 1, 1, 1, 1}, {1}, KvSplit::kReplicate},
                      Layout{"Tensor3Uneven", {4, 2, 1}, {1}, KvSplit::kReplicate},
                      Layout{"Pipeline5", {1}, {1, 1, 1, 1, 1}, KvSplit::kReplicate},
                      Layout{"Pipeline2Uneven", {1}, {4, 1}, KvSplit::kReplicate},
                      Layout{"Tensor2Pipeline3", {1, 1}, {2, 1, 1}, KvSplit::kReplicate}),
    [](const ::testing::TestParamInfo<Layout>& test) { return test.param.name; });

}  // namespace
}  // namespace lindos::exec
