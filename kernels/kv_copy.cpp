// SPDX-License-Identifier: Apache-2.0
#include "kernels/kv_copy.h"

#include <cstring>

namespace lindos::kernels {

// Each member does all copies of its halves of layers, so that their order holds without waiting for the others.
void copy_kv_blocks(CpuPool& pool, const KvMemories& kv, const KvBlockCopy* copies, std::int64_t count) {
  pool.run([&](int member, int threads) {
    const Part halves = part_of(2 * kv.layers, 1, member, threads);
    for (std::int64_t half = halves.begin; half < halves.end; ++half) {
      std::byte* const in_pool = kv.pool + static_cast<std::size_t>(half) * kv.half_bytes;
      std::byte* const on_host = kv.host + static_cast<std::size_t>(half) * kv.piece_bytes;
      for (std::int64_t i = 0; i < count; ++i) {
        const KvBlockCopy& copy = copies[i];
        std::byte* const a = in_pool + static_cast<std::size_t>(copy.pool) * kv.piece_bytes;
        std::byte* const b = on_host + static_cast<std::size_t>(copy.host) * kv.host_block_bytes();
        if (copy.to_host != 0) {
          std::memcpy(b, a, kv.piece_bytes);
        } else {
          std::memcpy(a, b, kv.piece_bytes);
        }
      }
    }
  });
}

}  // namespace lindos::kernels
