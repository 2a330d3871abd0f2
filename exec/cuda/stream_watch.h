// SPDX-License-Identifier: Apache-2.0
// Waiting for a stream whose kernels wait for other ranks: what never ends must be left.
#pragma once

#include <chrono>
#include <functional>

#include "exec/cuda/device_buffer.h"

namespace lindos::exec::cuda {

// A collective that lasts longer has lost a rank: the largest step takes a second or two.
inline constexpr std::chrono::seconds kCollectivePatience{60};

// Returns true when the stream has ended, false after `patience`. `look` is called now and then and may throw. Throws
// Error{kEnvironment} when the stream has failed.
[[nodiscard]] bool watch_stream(const Stream& stream, const char* what, std::chrono::seconds patience, const std::function<void()>& look);

}  // namespace lindos::exec::cuda
