// SPDX-License-Identifier: Apache-2.0
#include "exec/cuda/step_layout.h"

#include <algorithm>
#include <cstring>

#include "scenarios/error.h"

namespace lindos::exec::cuda {

namespace {

using kernels::cuda::kDevicePageTokens;
using kernels::cuda::kPrefillTileRows;
using kernels::cuda::PrefillTile;

std::int64_t tiles_of(std::int64_t tokens) { return (tokens + kPrefillTileRows - 1) / kPrefillTileRows; }

int narrow(std::int64_t value) { return static_cast<int>(value); }

}  // namespace

StepLayout layout_of(const StepInput& input, std::int64_t table_stride) {
  StepLayout layout;
  layout.rows = input.rows();
  layout.slices = std::max(static_cast<std::int64_t>(input.slices.size()), static_cast<std::int64_t>(input.logit_rows.size()));
  layout.table_stride = table_stride;
  for (const kernels::AttentionSlice& s : input.slices) {
    if (s.tokens > 1) layout.tiles += tiles_of(s.tokens);
  }
  return layout;
}

bool decode_only(const StepInput& input) {
  return input.logit_rows.size() == input.slices.size() && input.rows() == static_cast<std::int64_t>(input.slices.size());
}

std::int64_t graph_bucket(std::int64_t rows) {
  std::int64_t bucket = 1;
  while (bucket < rows) bucket *= 2;
  return bucket;
}

PackedStep pack_step(const StepInput& input, const StepLayout& layout, std::int32_t* out) {
  PackedStep packed;
  const std::int64_t rows = input.rows();
  LINDOS_ASSERT(rows <= layout.rows && static_cast<std::int64_t>(input.slices.size()) <= layout.slices, "step beyond its layout");
  std::int32_t* ids = out + layout.ids();
  std::int32_t* positions = out + layout.positions();
  std::int32_t* row_table = out + layout.row_table();
  std::int32_t* prefill_rows = out + layout.prefill_rows();
  std::int32_t* decode_rows = out + layout.decode_rows();
  std::int32_t* logit_rows = out + layout.logit_rows();
  std::int32_t* tables = out + layout.tables();
  for (std::int64_t r = 0; r < layout.rows; ++r) {
    const auto at = static_cast<std::size_t>(r);
    // Later stages have no ids.
    ids[r] = at < input.ids.size() ? input.ids[at] : 0;
    positions[r] = r < rows ? narrow(input.positions[at]) : -1;
    row_table[r] = 0;
    prefill_rows[r] = 0;
  }
  for (std::int64_t s = 0; s < layout.slices; ++s) {
    // Padding sequences are padding rows.
    decode_rows[s] = narrow(std::min(s, layout.rows - 1));
    logit_rows[s] = 0;
  }
  std::vector<PrefillTile> tiles;
  const auto take = [&](const kernels::AttentionSlice& slice, std::int64_t table) {
    const std::int64_t pages = (slice.first_position + slice.tokens + kDevicePageTokens - 1) / kDevicePageTokens;
    LINDOS_ASSERT(pages <= layout.table_stride, "a sequence longer than its block table");
    std::copy_n(slice.blocks, pages, tables + table * layout.table_stride);
    for (std::int64_t t = 0; t < slice.tokens; ++t) row_table[slice.row + t] = narrow(table);
  };
  for (const kernels::AttentionSlice& slice : input.slices) {
    if (slice.tokens != 1) continue;
    take(slice, packed.decode_rows);
    decode_rows[packed.decode_rows++] = narrow(slice.row);
  }
  std::int64_t table = packed.decode_rows;
  for (const kernels::AttentionSlice& slice : input.slices) {
    if (slice.tokens == 1) continue;
    take(slice, table);
    for (std::int64_t t = 0; t < slice.tokens; ++t) prefill_rows[packed.prefill_rows++] = narrow(slice.row + t);
    for (std::int64_t t = 0; t < slice.tokens; t += kPrefillTileRows) {
      tiles.push_back({{narrow(slice.row), narrow(slice.tokens), narrow(slice.first_position), narrow(table)}, narrow(t)});
    }
    ++table;
  }
  // A tile's work grows with its position; the longest first leaves no long one for the end.
  std::stable_sort(tiles.begin(), tiles.end(), [](const PrefillTile& a, const PrefillTile& b) {
    return a.slice.first_position + a.token > b.slice.first_position + b.token;
  });
  packed.tiles = static_cast<std::int64_t>(tiles.size());
  LINDOS_ASSERT(packed.tiles <= layout.tiles, "more tiles than the layout holds");
  if (!tiles.empty()) std::memcpy(out + layout.tile_list(), tiles.data(), tiles.size() * sizeof(PrefillTile));
  for (std::size_t i = 0; i < input.logit_rows.size(); ++i) logit_rows[i] = narrow(input.logit_rows[i]);
  return packed;
}

}  // namespace lindos::exec::cuda
