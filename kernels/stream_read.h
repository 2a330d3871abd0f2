// SPDX-License-Identifier: Apache-2.0
// The ceiling of every byte-bound op: how fast the pool's members together read memory.
#pragma once

#include <cstddef>
#include <memory>

#include "kernels/cpu_pool.h"

namespace lindos::kernels {

// A buffer that is read window by window, round and round. Choose it several times the last-level cache, so
// that a window has left the caches when its turn comes again. The windows are short (milliseconds): the best
// of many is hardly disturbed by other processes.
class ReadStream {
 public:
  ReadStream(CpuPool& pool, std::size_t bytes);  // throws std::bad_alloc
  ~ReadStream();
  ReadStream(const ReadStream&) = delete;
  ReadStream& operator=(const ReadStream&) = delete;

  // Reads the next window, each member a contiguous part with full-width loads; bytes per second.
  [[nodiscard]] double read_window();
  [[nodiscard]] std::size_t windows() const;

 private:
  struct State;
  CpuPool& pool_;
  std::unique_ptr<State> state_;
};

// Best window of `passes` over `bytes`, after one pass that is not counted. Bytes per second.
[[nodiscard]] double measure_read_bandwidth(CpuPool& pool, std::size_t bytes, int passes = 7);

}  // namespace lindos::kernels
