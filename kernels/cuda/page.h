// SPDX-License-Identifier: Apache-2.0
// How a step is cut for the device: plain numbers that host code fills in and kernels read. No CUDA needed to include it.
#pragma once

namespace lindos::kernels::cuda {

inline constexpr int kDevicePageTokens = 64;  // positions per KV page: 16 KB of keys per head of 128

// Rows of the step that belong to one sequence, from `first_row` on: positions first_position, first_position + 1, …
struct PrefillSlice {
  int first_row = 0;
  int tokens = 0;
  int first_position = 0;
  int table = 0;                              // row of the block table
};
// A block of the grid: some rows of a slice.
struct PrefillTile {
  PrefillSlice slice;
  int token = 0;                              // first of the tile, within the slice
};
inline constexpr int kPrefillTileRows = 128;

}  // namespace lindos::kernels::cuda
