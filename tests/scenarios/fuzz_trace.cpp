// SPDX-License-Identifier: Apache-2.0
// Any bytes → requests or an Error, in every format of traces; the first byte picks it. Arrivals do not go back.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string>

#include "scenarios/error.h"
#include "scenarios/request_trace.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  constexpr int kFormats = 5;
  const auto format = static_cast<lindos::TraceFormat>(data[0] % kFormats);
  std::istringstream in(std::string(reinterpret_cast<const char*>(data + 1), size - 1));
  try {
    lindos::TraceReader reader(in, format, "trace");
    std::int64_t last = 0;
    while (const auto row = reader.next()) {
      if (row->arrival_ns < last || row->prompt_tokens < 1 || row->output_tokens < 1) std::abort();
      last = row->arrival_ns;
    }
  } catch (const lindos::Error&) {
  }
  return 0;
}
