// SPDX-License-Identifier: Apache-2.0
// Any bytes → a timeline or an Error. A timeline that is read must survive being written and read again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "scenarios/error.h"
#include "scenarios/run_timeline.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    lindos::RunTimeline timeline = lindos::run_timeline_from_json(text, "t.json");
    if (!(lindos::run_timeline_from_json(lindos::to_json(timeline), "t.json") == timeline)) std::abort();
    lindos::limit_spans(timeline, 3);
    if (timeline.spans.size() > 3) std::abort();
  } catch (const lindos::Error&) {
  }
  return 0;
}
