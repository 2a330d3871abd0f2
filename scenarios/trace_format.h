// SPDX-License-Identifier: Apache-2.0
// How recorded requests are written (request_trace.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lindos {

enum class TraceFormat { kAzure, kBurstGpt, kMooncake, kCsv, kJsonl };
[[nodiscard]] std::string_view name_of(TraceFormat format);  // "azure", …
[[nodiscard]] std::optional<TraceFormat> find_trace_format(std::string_view name);

// A recorded trace as a workload. `rows`, `longest` and `digest` are what the file held when the scenario was loaded.
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
