// SPDX-License-Identifier: Apache-2.0
// What the driver of a run counts as it goes, for whoever watches from another thread. The driver's side costs a lock
// without contention per step; a watcher takes what came since it last asked. Times are since the run began.
#pragma once

#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "exec/scheduler/request.h"
#include "exec/scheduler/scheduler.h"
#include "scenarios/units.h"

namespace lindos::exec {

struct LiveWindow {
  std::int64_t output_tokens = 0;        // of the window
  std::int64_t total_output_tokens = 0;  // since the run began
  std::vector<double> ttft_s;            // of the requests whose first token came
  std::vector<double> tpot_s;            // of the requests that ended with at least two tokens
  scheduler::Snapshot scheduler;         // as the driver last said
};

class LiveCounters {
 public:
  // Driver.
  void begin();
  void submitted(scheduler::RequestId request, Seconds arrival, std::int64_t output_tokens);
  // One token for each of the requests, at `now`.
  void sampled(Seconds now, const std::vector<scheduler::RequestId>& requests);
  void state(const scheduler::Snapshot& snapshot);

  // Watcher.
  [[nodiscard]] LiveWindow take();

 private:
  struct Request {
    Seconds arrival{0};
    Seconds first{0};
    std::int64_t tokens = 0;
    std::int64_t wanted = 0;
  };
  std::mutex mutex_;
  std::unordered_map<scheduler::RequestId, Request> open_;
  LiveWindow window_;
};

}  // namespace lindos::exec
