// SPDX-License-Identifier: Apache-2.0
// The requests of a workload one by one, in order of arrival, so that an hour of a fleet's traffic needs no memory.
//
//   const auto stream = open_requests(scenario.workload.serving, scenario.workload.seed);
//   while (const auto request = stream->next()) route(*request);
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "scenarios/workload.h"

namespace lindos {

class RequestStream {
 public:
  RequestStream() = default;
  RequestStream(const RequestStream&) = delete;
  RequestStream& operator=(const RequestStream&) = delete;
  virtual ~RequestStream() = default;
  // Nothing after the last one. Ids count from 0; arrivals do not go back.
  [[nodiscard]] virtual std::optional<RequestSpec> next() = 0;
};

// In a closed loop the first `concurrency` requests arrive at 0, the others on completion. Counter-based generator:
// equal on every platform, and the first n requests do not depend on how many follow.
[[nodiscard]] std::unique_ptr<RequestStream> open_requests(const ServingWorkload& workload,
                                                           std::uint64_t seed);

}  // namespace lindos
