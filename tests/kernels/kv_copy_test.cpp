// SPDX-License-Identifier: Apache-2.0
#include "kernels/kv_copy.h"

#include <cstddef>
#include <cstring>
#include <vector>

#include <gtest/gtest.h>

namespace lindos::kernels {
namespace {

constexpr std::int64_t kLayers = 3;
constexpr std::size_t kPiece = 5;
constexpr std::size_t kPoolBlocks = 4;
constexpr std::size_t kHostBlocks = 3;

// What lies where, named by layer, half and block.
struct Memories {
  std::vector<std::byte> pool = std::vector<std::byte>(2 * kLayers * kPoolBlocks * kPiece);
  std::vector<std::byte> host = std::vector<std::byte>(2 * kLayers * kHostBlocks * kPiece);
  [[nodiscard]] std::byte* in_pool(std::size_t half, std::size_t block) { return pool.data() + (half * kPoolBlocks + block) * kPiece; }
  [[nodiscard]] std::byte* on_host(std::size_t half, std::size_t block) { return host.data() + (block * 2 * kLayers + half) * kPiece; }
  [[nodiscard]] KvMemories view() { return {pool.data(), host.data(), kLayers, kPoolBlocks * kPiece, kPiece}; }
};

Memories filled() {
  Memories m;
  for (std::size_t i = 0; i < m.pool.size(); ++i) m.pool[i] = static_cast<std::byte>(i % 251);
  return m;
}

// Each copy as memcpy of its pieces, one after the other.
void by_hand(Memories& m, const std::vector<KvBlockCopy>& copies) {
  for (const KvBlockCopy& copy : copies) {
    for (std::size_t half = 0; half < 2 * kLayers; ++half) {
      std::byte* a = m.in_pool(half, static_cast<std::size_t>(copy.pool));
      std::byte* b = m.on_host(half, static_cast<std::size_t>(copy.host));
      std::memcpy(copy.to_host != 0 ? b : a, copy.to_host != 0 ? a : b, kPiece);
    }
  }
}

TEST(KvCopy, DoesCopiesInTheirOrderOnAnyNumberOfThreads) {
  // Block 0 goes out, 1 takes its place there after it came back to 2, and block 3 gets what was written last.
  const std::vector<KvBlockCopy> copies = {{1, 0, 1}, {0, 2, 1}, {1, 1, 1}, {0, 3, 1}, {1, 3, 0}};
  for (const int threads : {1, 2, 3, 8}) {
    Memories expected = filled();
    by_hand(expected, copies);
    Memories m = filled();
    CpuPool pool(threads);
    copy_kv_blocks(pool, m.view(), copies.data(), std::ssize(copies));
    EXPECT_EQ(m.pool, expected.pool) << threads;
    EXPECT_EQ(m.host, expected.host) << threads;
    EXPECT_EQ(std::memcmp(m.in_pool(4, 2), filled().in_pool(4, 0), kPiece), 0);
    EXPECT_EQ(std::memcmp(m.in_pool(4, 3), filled().in_pool(4, 1), kPiece), 0);
  }
}

}  // namespace
}  // namespace lindos::kernels
