// SPDX-License-Identifier: Apache-2.0
#include "exec/cuda/stream_watch.h"

#include <thread>

namespace lindos::exec::cuda {

namespace {

constexpr std::chrono::microseconds kBetweenLooks{50};
constexpr std::chrono::milliseconds kSpin{2};

}  // namespace

bool watch_stream(const Stream& stream, const char* what, std::chrono::seconds patience, const std::function<void()>& look) {
  const auto begin = std::chrono::steady_clock::now();
  for (;;) {
    const cudaError_t state = cudaStreamQuery(stream.get());
    if (state == cudaSuccess) return true;
    if (state != cudaErrorNotReady) check(state, what);
    look();
    const auto waited = std::chrono::steady_clock::now() - begin;
    if (waited > patience) return false;
    // Steps of decodes end within a millisecond or two: a sleep would add to each.
    if (waited > kSpin) std::this_thread::sleep_for(kBetweenLooks);
  }
}

}  // namespace lindos::exec::cuda
