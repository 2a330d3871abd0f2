// SPDX-License-Identifier: Apache-2.0
#include "exec/runner/step_codec.h"

#include <algorithm>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace lindos::exec {
namespace {

// A step whose spans point into vectors that live as long as it does.
struct OwnedStep {
  std::vector<std::vector<scheduler::TokenId>> tokens;
  std::vector<std::vector<scheduler::BlockId>> blocks;
  scheduler::Step step;
};

OwnedStep arbitrary_step() {
  OwnedStep owned;
  const auto slices = *rc::gen::inRange<std::size_t>(0, 9);
  for (std::size_t i = 0; i < slices; ++i) {
    owned.tokens.push_back(*rc::gen::nonEmpty(rc::gen::arbitrary<std::vector<scheduler::TokenId>>()));
    owned.blocks.push_back(*rc::gen::arbitrary<std::vector<scheduler::BlockId>>());
  }
  for (std::size_t i = 0; i < slices; ++i) {
    scheduler::StepSlice slice;
    slice.request = *rc::gen::arbitrary<std::uint64_t>();
    slice.first_position = *rc::gen::inRange<std::int64_t>(0, 1'000'000);
    slice.tokens = owned.tokens[i];
    slice.wants_logits = *rc::gen::arbitrary<bool>();
    slice.blocks = owned.blocks[i];
    owned.step.slices.push_back(slice);
  }
  return owned;
}

RC_GTEST_PROP(StepInput, HoldsEachTokenOfTheStepAtItsPosition, ()) {
  const OwnedStep owned = arbitrary_step();
  const StepInput input = make_step_input(owned.step);
  RC_ASSERT(input.rows() == owned.step.tokens());
  RC_ASSERT(input.slices.size() == owned.step.slices.size());
  std::size_t row = 0;
  std::size_t logits = 0;
  for (std::size_t i = 0; i < input.slices.size(); ++i) {
    const scheduler::StepSlice& expected = owned.step.slices[i];
    const kernels::AttentionSlice& slice = input.slices[i];
    RC_ASSERT(slice.row == static_cast<std::int64_t>(row));
    RC_ASSERT(slice.first_position == expected.first_position);
    RC_ASSERT(slice.tokens == static_cast<std::int64_t>(expected.tokens.size()));
    RC_ASSERT(std::equal(expected.blocks.begin(), expected.blocks.end(), slice.blocks));
    for (std::size_t t = 0; t < expected.tokens.size(); ++t, ++row) {
      RC_ASSERT(input.ids[row] == expected.tokens[t]);
      RC_ASSERT(input.positions[row] == expected.first_position + static_cast<std::int64_t>(t));
    }
    if (!expected.wants_logits) continue;
    RC_ASSERT(input.logit_rows[logits] == static_cast<std::int64_t>(row) - 1);
    RC_ASSERT(input.logit_requests[logits] == expected.request);
    ++logits;
  }
  RC_ASSERT(logits == input.logit_rows.size());
  RC_ASSERT(logits == input.logit_requests.size());
}

RC_GTEST_PROP(StepCodec, GivesBackWhatWasEncoded, ()) {
  const OwnedStep owned = arbitrary_step();
  const StepInput input = make_step_input(owned.step);
  const std::vector<std::byte> bytes = encode(input);
  const StepInput back = decode(bytes);
  RC_ASSERT(back.ids == input.ids);
  RC_ASSERT(back.positions == input.positions);
  RC_ASSERT(back.blocks == input.blocks);
  RC_ASSERT(back.logit_rows == input.logit_rows);
  RC_ASSERT(back.logit_requests == input.logit_requests);
  RC_ASSERT(back.slices.size() == input.slices.size());
  for (std::size_t i = 0; i < back.slices.size(); ++i) {
    RC_ASSERT(back.slices[i].first_position == input.slices[i].first_position);
    RC_ASSERT(back.slices[i].tokens == input.slices[i].tokens);
    RC_ASSERT(back.slices[i].row == input.slices[i].row);
    // Into its own list, at the same place.
    RC_ASSERT(back.slices[i].blocks - back.blocks.data() == input.slices[i].blocks - input.blocks.data());
  }
  RC_ASSERT(encode(back) == bytes);
}

}  // namespace
}  // namespace lindos::exec
