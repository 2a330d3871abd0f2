// SPDX-License-Identifier: Apache-2.0
// Random event logs against a model that knows only the promises of scheduler.h, not how they are
// kept. With prefix reuse the model keeps an index of its own by whole beginnings instead of hashes, and a KV memory
// that says what was written where.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "exec/scheduler/scheduler.h"

namespace lindos::scheduler::model {

struct Event {
  int kind = 0;  // 0, 1: submit, 2: cancel, 3, 4: plan, 5, 6: complete
  int prompt = 1;
  int max_new = 1;
  int priority = 0;
  bool stops = false;
  // With prefix reuse: of the prompt, its leading tokens that all prompts of the group and salt begin with.
  int shared = 0;
  int group = 0;
  int salt = 0;
  bool goes_on = false;  // instead, prompt and output of a request that ended, and what the client says next
};

struct Case {
  Limits limits;
  Policy policy = Policy::kDecodeFirst;
  std::vector<Event> events;
};

struct Outcome {
  std::string transcript;
  Snapshot last;
};

// Plays the log, then drains without further events. Fails the surrounding property where a promise is broken.
[[nodiscard]] Outcome play(const Case& c);

}  // namespace lindos::scheduler::model
