// SPDX-License-Identifier: Apache-2.0
// Any bytes → a what-if result or an Error. The same bytes are also tried as a meta file.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string>

#include "scenarios/error.h"
#include "sim/stragglers/trace_meta.h"
#include "sim/stragglers/what_if.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lindos;
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  try {
    std::istringstream in(bytes);
    const sim::WhatIf result =
        sim::analyse_what_if(sim::parse_straggler_trace(in, "trace.csv", {}));
    if (!std::isfinite(result.mean_ideal.count())) std::abort();
  } catch (const Error&) {
  }
  try {
    static_cast<void>(sim::parse_trace_meta(bytes, "meta.yaml"));
  } catch (const Error&) {
  }
  return 0;
}
