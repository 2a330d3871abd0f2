// SPDX-License-Identifier: Apache-2.0
// Moves KV blocks of one rank, all its layers, between the paged pool and host memory beside it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu_pool.h"

namespace lindos::kernels {

struct KvBlockCopy {
  std::int32_t to_host = 0;  // 1: pool → host memory, 0: back
  std::int32_t pool = 0;     // block there
  std::int32_t host = 0;     // block in host memory
  bool operator==(const KvBlockCopy&) const = default;
};

// Of each layer the pool holds K of all blocks, then V of all blocks; host memory holds block after block, in it layer
// after layer K and V.
struct KvMemories {
  std::byte* pool = nullptr;
  std::byte* host = nullptr;
  std::int64_t layers = 0;
  std::size_t half_bytes = 0;   // K of all blocks of one layer
  std::size_t piece_bytes = 0;  // K of one block of one layer
  [[nodiscard]] std::size_t host_block_bytes() const { return 2 * static_cast<std::size_t>(layers) * piece_bytes; }
};

// One after the other: a later copy may read what an earlier one wrote.
void copy_kv_blocks(CpuPool& pool, const KvMemories& kv, const KvBlockCopy* copies, std::int64_t count);

}  // namespace lindos::kernels
