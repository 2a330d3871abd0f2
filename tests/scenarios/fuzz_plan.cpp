// SPDX-License-Identifier: Apache-2.0
// Any bytes → a plan or an Error. A plan that is read must survive being written and read again, and its
// validation must end in an answer.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "scenarios/error.h"
#include "scenarios/plan_json.h"
#include "scenarios/training_plan.h"
#include "tests/scenarios/models.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const lindos::Plan plan = lindos::plan_from_json(text, "plan.json");
    if (!(lindos::plan_from_json(lindos::to_json(plan), "plan.json") == plan)) std::abort();
    lindos::validate_plan(plan, lindos::smollm2(), "plan.json");
    lindos::validate_training(plan, lindos::smollm2(),
                              {.sequence = 4096, .global_batch = 96, .micro_batch = 1}, "plan.json");
  } catch (const lindos::Error&) {
  }
  return 0;
}
