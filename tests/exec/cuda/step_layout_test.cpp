// SPDX-License-Identifier: Apache-2.0
#include "exec/cuda/step_layout.h"

#include <cstring>
#include <numeric>

#include <gtest/gtest.h>

namespace lindos::exec::cuda {

namespace {

using kernels::cuda::PrefillTile;

// Slices in the order given, blocks 100, 101, … for the first, 200, … for the second.
StepInput input_of(const std::vector<std::pair<std::int64_t, std::int64_t>>& context_and_tokens) {
  StepInput input;
  std::vector<std::size_t> first;
  for (std::size_t s = 0; s < context_and_tokens.size(); ++s) {
    const auto [context, tokens] = context_and_tokens[s];
    first.push_back(input.blocks.size());
    for (std::int64_t p = 0; p < (context + tokens + 63) / 64; ++p) {
      input.blocks.push_back(static_cast<std::int32_t>(100 * (static_cast<std::int64_t>(s) + 1) + p));
    }
    input.slices.push_back({context, tokens, input.rows(), nullptr});
    for (std::int64_t t = 0; t < tokens; ++t) {
      input.ids.push_back(static_cast<std::int32_t>(1000 * (static_cast<std::int64_t>(s) + 1) + t));
      input.positions.push_back(context + t);
    }
    input.logit_rows.push_back(input.rows() - 1);
    input.logit_requests.push_back(s);
  }
  for (std::size_t s = 0; s < first.size(); ++s) input.slices[s].blocks = input.blocks.data() + first[s];
  return input;
}

TEST(StepLayoutTest, MixedStepPutsDecodesFirstAndCutsPromptsIntoTiles) {
  const StepInput input = input_of({{0, 200}, {70, 1}, {64, 130}, {5, 1}});
  const StepLayout layout = layout_of(input, 8);
  EXPECT_EQ(layout.rows, 332);
  EXPECT_EQ(layout.slices, 4);
  EXPECT_EQ(layout.tiles, 4);   // 200 → 128 + 72, 130 → 128 + 2
  std::vector<std::int32_t> out(layout.size(), -77);
  const PackedStep packed = pack_step(input, layout, out.data());
  EXPECT_EQ(packed.decode_rows, 2);
  EXPECT_EQ(packed.prefill_rows, 330);
  EXPECT_EQ(packed.tiles, 4);
  const std::int32_t* rows = out.data() + layout.decode_rows();
  EXPECT_EQ(rows[0], 200);
  EXPECT_EQ(rows[1], 331);
  const std::int32_t* tables = out.data() + layout.tables();
  EXPECT_EQ(tables[0], 200);
  EXPECT_EQ(tables[1], 201);
  EXPECT_EQ(tables[8], 400);
  EXPECT_EQ(tables[16], 100);
  EXPECT_EQ(tables[19], 103);
  EXPECT_EQ(tables[24], 300);
  EXPECT_EQ(tables[27], 303);
  const std::int32_t* row_table = out.data() + layout.row_table();
  EXPECT_EQ(row_table[0], 2);
  EXPECT_EQ(row_table[199], 2);
  EXPECT_EQ(row_table[200], 0);
  EXPECT_EQ(row_table[201], 3);
  EXPECT_EQ(row_table[331], 1);
  EXPECT_EQ(out[layout.prefill_rows() + 200], 201);
  EXPECT_EQ(out[layout.ids() + 331], 4000);
  EXPECT_EQ(out[layout.positions() + 201], 64);
  EXPECT_EQ(out[layout.logit_rows() + 3], 331);
  std::vector<PrefillTile> tiles(4);
  std::memcpy(static_cast<void*>(tiles.data()), out.data() + layout.tile_list(), tiles.size() * sizeof(PrefillTile));
  // Ends: 64 + 128, 0 + 128, 64 + 0, 0: the longest work first.
  EXPECT_EQ(tiles[0].slice.table, 3);
  EXPECT_EQ(tiles[0].token, 128);
  EXPECT_EQ(tiles[1].slice.table, 2);
  EXPECT_EQ(tiles[1].token, 128);
  EXPECT_EQ(tiles[2].slice.first_position, 64);
  EXPECT_EQ(tiles[2].slice.first_row, 201);
  EXPECT_EQ(tiles[3].slice.first_position, 0);
}

TEST(StepLayoutTest, GraphBucketsArePaddedWithRowsThatNoKernelTakesForReal) {
  const StepInput input = input_of({{70, 1}, {5, 1}, {0, 1}});
  ASSERT_TRUE(decode_only(input));
  EXPECT_EQ(graph_bucket(3), 4);
  EXPECT_EQ(graph_bucket(4), 4);
  EXPECT_EQ(graph_bucket(1), 1);
  const StepLayout layout{4, 4, 8, 0};
  std::vector<std::int32_t> out(layout.size(), -77);
  const PackedStep packed = pack_step(input, layout, out.data());
  EXPECT_EQ(packed.decode_rows, 3);
  EXPECT_EQ(out[layout.decode_rows() + 3], 3);
  EXPECT_EQ(out[layout.positions() + 3], -1);
  EXPECT_EQ(out[layout.ids() + 3], 0);
  EXPECT_EQ(out[layout.logit_rows() + 2], 2);
}

TEST(StepLayoutTest, PromptsAndMissingLogitsAreNotForGraphs) {
  EXPECT_FALSE(decode_only(input_of({{70, 2}})));
  StepInput input = input_of({{70, 1}, {3, 1}});
  input.logit_rows.pop_back();
  EXPECT_FALSE(decode_only(input));
}

// Every array has its own place.
TEST(StepLayoutTest, ArraysDoNotOverlap) {
  const StepLayout layout{7, 3, 5, 2};
  const std::vector<std::size_t> places = {layout.ids(),         layout.positions(),  layout.row_table(), layout.prefill_rows(),
                                           layout.decode_rows(), layout.logit_rows(), layout.tables(),    layout.tile_list(),
                                           layout.size()};
  const std::vector<std::size_t> sizes = {7, 7, 7, 7, 3, 3, 15, 2 * StepLayout::kTileInts};
  for (std::size_t i = 0; i < sizes.size(); ++i) EXPECT_EQ(places[i + 1] - places[i], sizes[i]) << i;
}

}  // namespace

}  // namespace lindos::exec::cuda
