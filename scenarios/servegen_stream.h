// SPDX-License-Identifier: Apache-2.0
// Internal to the generator of requests: those of a folder of clients, merged in order of time.
//
// Each client is a renewal process in its own time, which runs at the rate of the window: a gap of mean 1 is drawn with
// the shape of the window where it begins, and passes as fast as the rates on its way let it. So a window has its rate in
// the mean whatever the shape of its gaps, also where a gap reaches beyond it, and a pause only stops the clock.
#pragma once

#include <cstdint>
#include <memory>

#include "scenarios/request_stream.h"

namespace lindos {

// REQUIRES: the workload's trace is a folder of clients. Throws Error{kInput} where it has changed since it was loaded.
[[nodiscard]] std::unique_ptr<RequestStream> open_clients(const ServingWorkload& workload, std::uint64_t seed);

}  // namespace lindos
