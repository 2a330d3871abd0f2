// SPDX-License-Identifier: Apache-2.0
// Any bytes → requests or an Error, in every format of traces; the first byte picks it. Arrivals do not go back. Of the
// two files of a client, a zero byte ends the first one.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string>

#include "scenarios/error.h"
#include "scenarios/request_trace.h"
#include "scenarios/servegen.h"

namespace {

void read_client(const std::string& files) {
  const std::size_t end = std::min(files.find('\0'), files.size());
  try {
    double last = -1.0;
    for (const lindos::ClientWindow& window : lindos::parse_client_windows(files.substr(0, end), "trace")) {
      if (window.begin_s <= last || window.end_s < window.begin_s || !(window.rate >= 0.0)) std::abort();
      last = window.begin_s;
    }
  } catch (const lindos::Error&) {
  }
  if (end == files.size()) return;
  try {
    for (const lindos::ClientLengths& lengths : lindos::parse_client_lengths(files.substr(end + 1), "dataset")) {
      for (const lindos::LengthHistogram* histogram : {&lengths.prompt, &lengths.output}) {
        if (histogram->empty()) continue;
        if (histogram->tokens.front() < 1 || histogram->until.back() != 1.0) std::abort();
      }
    }
  } catch (const lindos::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  constexpr int kFormats = 6;
  const auto format = static_cast<lindos::TraceFormat>(data[0] % kFormats);
  if (format == lindos::TraceFormat::kServegen) {
    read_client(std::string(reinterpret_cast<const char*>(data + 1), size - 1));
    return 0;
  }
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
