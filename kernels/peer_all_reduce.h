// SPDX-License-Identifier: Apache-2.0
// The sum over ranks that reach each other's memory: who adds which rows, and how the ranks meet without their hosts. The same
// code runs on the device (kernels/cuda/all_reduce.cu) and, in tests, on threads of the host.
//
// Every rank launches the same grid. Block b of a rank meets block b of every other: it writes the number of the meeting (its
// epoch) into its word in each rank's memory, and waits until all words in its own memory have come so far.
//   one shot    meet, then every rank adds all rows from all ranks' memory
//   two shots   meet, each rank adds its share of the rows and writes them into everyone's residual stream, meet
// Either way a row is added once per place in rank order in f32, so that all ranks hold the same bits.
//
// Reuse of memory: partial sums lie in two buffers in turn. A rank writes one again only after a later sum has ended, in which it met
// every rank, and a rank that has come to a sum has ended all those before.
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#define LINDOS_HOST_DEVICE __host__ __device__
#else
#define LINDOS_HOST_DEVICE
#endif

namespace lindos::kernels {

inline constexpr int kMostPeers = 8;
inline constexpr int kMostPeerBlocks = 32;
// Words by which a rank is told of meetings: [block][rank that comes].
inline constexpr int kPeerWords = kMostPeerBlocks * kMostPeers;

enum class PeerShots { kOne, kTwo };

struct PeerPlan {
  PeerShots shots = PeerShots::kOne;
  int blocks = 1;
  int ranks = 1;
  int rank = 0;
  std::int64_t rows = 0;
};

// One shot reads (ranks − 1) times the bytes, two shots twice (ranks − 1) / ranks of them and meet once more. The bounds are
// those at which engines in use change over (engine handbook, section 8). `multiprocessors`: of the device; `sharing`: ranks on it.
[[nodiscard]] constexpr PeerShots peer_shots(int ranks, std::int64_t rows, std::int64_t row_bytes) {
  constexpr std::int64_t kFewRanks = 512 << 10;
  constexpr std::int64_t kManyRanks = 256 << 10;
  if (ranks <= 2 || rows < ranks) return PeerShots::kOne;
  return rows * row_bytes <= (ranks <= 4 ? kFewRanks : kManyRanks) ? PeerShots::kOne : PeerShots::kTwo;
}

// Blocks that wait hold their multiprocessor. Where ranks share a device, half of it stays free for those that still compute.
[[nodiscard]] constexpr int peer_blocks(PeerShots shots, int ranks, std::int64_t rows, int multiprocessors, int sharing) {
  const std::int64_t work = shots == PeerShots::kOne ? rows : (rows + ranks - 1) / ranks;
  std::int64_t blocks = kMostPeerBlocks;
  if (work < blocks) blocks = work;
  if (multiprocessors / (2 * sharing) < blocks) blocks = multiprocessors / (2 * sharing);
  return blocks < 1 ? 1 : static_cast<int>(blocks);
}

// The word that `from` writes when its block comes to a meeting.
[[nodiscard]] LINDOS_HOST_DEVICE constexpr int peer_word(int block, int from) { return block * kMostPeers + from; }

// Whether a rank whose word reads `seen` has come to meeting `epoch`; it may be one further. Right across the wrap of 32 bits.
[[nodiscard]] LINDOS_HOST_DEVICE constexpr bool has_come(std::uint32_t seen, std::uint32_t epoch) {
  return static_cast<std::int32_t>(seen - epoch) >= 0;
}

// First row of a rank's share; of `ranks`: the end.
[[nodiscard]] LINDOS_HOST_DEVICE constexpr std::int64_t share_begin(const PeerPlan& plan, int rank) {
  return plan.rows * rank / plan.ranks;
}

// What one block does. `Block` gives
//   bool meet()               false when a rank did not come: leave
//   void add_row(i)           my residual row i += the ranks' partial rows, and what follows the sum (norm)
//   void spread_row(i)        everyone's residual row i = mine + the ranks' partial rows
//   void finish_row(i)        what follows the sum, on a row that has been spread
template <class Block>
LINDOS_HOST_DEVICE void sum_over_peers(Block& block, const PeerPlan& plan, int index) {
  if (!block.meet()) return;
  if (plan.shots == PeerShots::kOne) {
    for (std::int64_t i = index; i < plan.rows; i += plan.blocks) block.add_row(i);
    return;
  }
  const std::int64_t end = share_begin(plan, plan.rank + 1);
  for (std::int64_t i = share_begin(plan, plan.rank) + index; i < end; i += plan.blocks) block.spread_row(i);
  if (!block.meet()) return;
  // The rows that the same block of each rank has spread.
  for (int r = 0; r < plan.ranks; ++r) {
    for (std::int64_t i = share_begin(plan, r) + index; i < share_begin(plan, r + 1); i += plan.blocks) block.finish_row(i);
  }
}

}  // namespace lindos::kernels
