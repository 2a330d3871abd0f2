// SPDX-License-Identifier: Apache-2.0
// Many buffers of one lifetime carved from few large ones. Matrices of a megabyte, each allocated by itself,
// would lie on 4 KiB pages: a decode step that streams them all then pays 5 % for page walks.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "exec/runner/aligned_buffer.h"

namespace lindos::exec {

class Arena {
 public:
  // Zeroed, 64-byte aligned, valid as long as the arena.
  [[nodiscard]] void* allocate(std::size_t bytes) {
    const std::size_t rounded = (bytes + 63) / 64 * 64;
    if (chunks_.empty() || used_ + rounded > chunks_.back().bytes()) {
      chunks_.emplace_back(std::max(rounded, kChunk));
      used_ = 0;
    }
    auto* place = static_cast<std::byte*>(chunks_.back().data()) + used_;
    used_ += rounded;
    return place;
  }

 private:
  static constexpr std::size_t kChunk = std::size_t{16} << 20;
  std::vector<AlignedBuffer> chunks_;
  std::size_t used_ = 0;   // of the last chunk
};

}  // namespace lindos::exec
