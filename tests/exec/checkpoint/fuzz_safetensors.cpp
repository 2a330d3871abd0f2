// SPDX-License-Identifier: Apache-2.0
// Any bytes as a safetensors file: entries that tile the data, or an Error.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "exec/checkpoint/checkpoint.h"
#include "scenarios/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto bytes = std::as_bytes(std::span(data, size));
    std::uint64_t position = 0;
    for (const auto& entry : lindos::exec::parse_safetensors_header(bytes, size, "fuzz")) {
      if (position != 0 && entry.begin != position) std::abort();
      if (entry.end < entry.begin || entry.end > size) std::abort();
      position = entry.end;
    }
  } catch (const lindos::Error&) {
    // The legitimate answer to most inputs.
  }
  return 0;
}
