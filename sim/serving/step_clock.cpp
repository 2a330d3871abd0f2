// SPDX-License-Identifier: Apache-2.0
#include "sim/serving/step_clock.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "sim/serving_run.h"
#include "sim/stage_work.h"

namespace lindos::sim {

namespace {

// Decodes are priced at their mean context, to the nearest of these many positions: times depend on the sum of
// contexts, and steps that differ by a token each are then priced once.
constexpr double kContextGrain = 32.0;

}  // namespace

Batch StepClock::priced_batch(const scheduler::Step& step) const {
  Batch batch;
  std::int64_t decodes = 0;
  double context = 0.0;
  for (const scheduler::StepSlice& slice : step.slices) {
    const auto tokens = static_cast<std::int64_t>(slice.tokens.size());
    if (slice.is_decode) {
      ++decodes;
      context += static_cast<double>(slice.first_position);
    } else if (prompts_ == PromptWork::kOwn) {
      batch.push_back({slice.first_position, tokens, slice.wants_logits});
    }
  }
  if (decodes > 0) {
    const double grains = std::round(context / static_cast<double>(decodes) / kContextGrain);
    const double mean = std::max(1.0, grains * kContextGrain);
    batch.insert(batch.end(), static_cast<std::size_t>(decodes), {std::llround(mean), 1, true});
  }
  return batch;
}

void StepClock::start(const scheduler::Step& step) {
  const Batch batch = priced_batch(step);
  if (!batch.empty()) {
    clock_ += compute_time(replica_.work(batch, 0, 1), replica_.ranks(0), Draw{});
    clock_ += engine_.step + engine_.sequence * static_cast<double>(batch.size()) + engine_.layer * layers_;
  }
  done_.push_back(virtual_result(step));
}

scheduler::StepResult StepClock::wait() {
  scheduler::StepResult result = std::move(done_.front());
  done_.pop_front();
  return result;
}

}  // namespace lindos::sim
