// SPDX-License-Identifier: Apache-2.0
// Any bytes are a scenario or an Error; what is accepted survives saving. The same for a device of
// the catalogue.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "scenarios/error.h"
#include "tests/scenarios/scenario_fixture.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lindos;
  static const Catalogue catalogue = testing::tiny_catalogue();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const Scenario s = parse_scenario(text, "fuzz.toml", "/nonexistent", catalogue);
    static_cast<void>(show(s));
    if (parse_scenario(to_toml(s), "saved.toml", "/nonexistent", catalogue) != s) std::abort();
  } catch (const Error&) {
  }
  try {
    static_cast<void>(parse_device(text, "fuzz.toml"));
  } catch (const Error&) {
  }
  return 0;
}
