// SPDX-License-Identifier: Apache-2.0
#include "exec/runner/live_counters.h"

#include <utility>

namespace lindos::exec {

void LiveCounters::begin() {
  const std::lock_guard lock(mutex_);
  open_.clear();
  window_ = {};
}

void LiveCounters::submitted(scheduler::RequestId request, Seconds arrival, std::int64_t output_tokens) {
  const std::lock_guard lock(mutex_);
  open_[request] = {arrival, Seconds{0}, 0, output_tokens};
}

void LiveCounters::sampled(Seconds now, const std::vector<scheduler::RequestId>& requests) {
  const std::lock_guard lock(mutex_);
  for (const scheduler::RequestId id : requests) {
    ++window_.output_tokens;
    ++window_.total_output_tokens;
    const auto found = open_.find(id);
    if (found == open_.end()) continue;  // ended by a stop token before its length
    Request& request = found->second;
    if (++request.tokens == 1) {
      request.first = now;
      window_.ttft_s.push_back((now - request.arrival).count());
    }
    if (request.tokens < request.wanted) continue;
    if (request.tokens > 1)
      window_.tpot_s.push_back((now - request.first).count() / static_cast<double>(request.tokens - 1));
    open_.erase(found);
  }
}

void LiveCounters::state(const scheduler::Snapshot& snapshot) {
  const std::lock_guard lock(mutex_);
  window_.scheduler = snapshot;
}

LiveWindow LiveCounters::take() {
  const std::lock_guard lock(mutex_);
  LiveWindow taken = std::move(window_);
  window_ = {};
  window_.total_output_tokens = taken.total_output_tokens;
  window_.scheduler = taken.scheduler;
  return taken;
}

}  // namespace lindos::exec
