// SPDX-License-Identifier: Apache-2.0
#include "tests/exec/stories260k.h"

#include <gtest/gtest.h>

namespace lindos::exec::golden {
namespace {

class Stories260kTest : public ::testing::Test {
 protected:
  void SetUp() override {
    stories_ = find_stories260k();
    if (!stories_) GTEST_SKIP() << "no " << stories260k_folder();
  }
  std::optional<Stories260k> stories_;
};

TEST_F(Stories260kTest, HoldsExactlyTheTensorsOfItsModel) {
  EXPECT_EQ(stories_->model.layers, 5);
  EXPECT_EQ(stories_->model.kv_heads, 4);
  EXPECT_EQ(stories_->model.ffn, 172);
  EXPECT_NO_THROW(check_tensors(*stories_->checkpoint, stories_->model));
  EXPECT_EQ(stories_->checkpoint->tensors().size(), expected_tensors(stories_->model).size());
}

TEST_F(Stories260kTest, DecodesItsOwnExpectedOpening) {
  // "Once upon a time" in the vocabulary's longest pieces, looked up by text: independent of any
  // model.
  std::vector<std::int32_t> ids;
  std::string rest = " Once upon a time";
  while (!rest.empty()) {
    std::size_t best = 0;
    for (std::size_t id = 3; id < stories_->vocabulary.size(); ++id) {
      const std::string& piece = stories_->vocabulary[id];
      const bool longer = best == 0 || piece.size() > stories_->vocabulary[best].size();
      if (!piece.empty() && rest.starts_with(piece) && longer) best = id;
    }
    ASSERT_NE(best, 0U);
    ids.push_back(static_cast<std::int32_t>(best));
    rest.erase(0, stories_->vocabulary[best].size());
  }
  EXPECT_EQ(stories_->decode(ids), "Once upon a time");
  EXPECT_TRUE(stories_->expected_text.starts_with("Once upon a time"));
}

}  // namespace
}  // namespace lindos::exec::golden
