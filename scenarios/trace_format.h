// SPDX-License-Identifier: Apache-2.0
// How recorded requests are written (request_trace.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lindos {

// All but kServegen have a row per request; that one is a folder with the habits of each client (servegen.h).
enum class TraceFormat { kAzure, kBurstGpt, kMooncake, kCsv, kJsonl, kServegen };
[[nodiscard]] std::string_view name_of(TraceFormat format);  // "azure", …
// Whether it says whose a request is.
[[nodiscard]] constexpr bool names_tenants(TraceFormat format) {
  return format == TraceFormat::kCsv || format == TraceFormat::kJsonl || format == TraceFormat::kServegen;
}

// A recorded trace as a workload; of clients the requests that are expected in the mean. `rows`, `longest` and `digest` are what the file held when the scenario was loaded.
struct TraceSource {
  std::string path;
  TraceFormat format = TraceFormat::kCsv;
  double speed = 1.0;        // arrivals come so many times as fast as recorded
  std::int64_t rows = 0;
  std::int64_t longest = 0;  // prompt and output together
  std::string digest;
  bool operator==(const TraceSource&) const = default;
};

}  // namespace lindos
