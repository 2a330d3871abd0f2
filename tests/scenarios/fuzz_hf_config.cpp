// SPDX-License-Identifier: Apache-2.0
// Any bytes → a model or an Error; a model that is accepted can be counted. The same bytes are also tried as a
// catalogue entry.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "scenarios/error.h"
#include "scenarios/hf_config.h"
#include "scenarios/ops.h"
#include "scenarios/scenario.h"

namespace {

void count(const lindos::Model& model) {
  if (lindos::parameter_count(model) <= 0) std::abort();
  if (lindos::active_parameter_count(model) > lindos::parameter_count(model)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    count(lindos::parse_hf_config(text, "config.json").model);
  } catch (const lindos::Error&) {
  }
  try {
    count(lindos::parse_model_entry(text, "model.toml"));
  } catch (const lindos::Error&) {
  }
  return 0;
}
