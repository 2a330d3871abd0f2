// SPDX-License-Identifier: Apache-2.0
// Internal to the cell: a replica as its router sees it, on the max-plus rung. It runs as far as it is asked to and knows
// of a request's end from the time it happens, not from when it was computed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "exec/scheduler/driver.h"
#include "scenarios/workload.h"
#include "sim/cell.h"
#include "sim/fleet.h"
#include "sim/maxplus.h"
#include "sim/stage_work.h"

namespace lindos::sim {

class WatchedReplica {
 public:
  WatchedReplica(std::size_t group, ServingGroup& model, const Draw& draw, const std::function<bool()>& cancelled)
      : group_(group), served_(model.replica, model.limits, draw, cancelled) {}

  void add(const RequestSpec& request) {
    served_.loop().add(request);
    ++unfinished_;
    requests_.push_back(request);
  }
  // One whose time has come; where it came by an ending (on_completion), a finer rung waits for that again.
  void add_arrived(RequestSpec request) {
    requests_.push_back(request);
    request.on_completion = false;
    served_.loop().add(request);
    ++unfinished_;
  }
  void turn_away(const RequestSpec& request) { turned_away_.push_back(request); }
  // Starts all that starts before `until`; what that ends, maybe later, is left to take_endings.
  void run(Seconds until) {
    served_.loop().run(until);
    note_endings();
  }
  // The same, up to the first ending.
  void run_to_ending(Seconds until) {
    served_.loop().run_to_ending(until);
    note_endings();
  }
  [[nodiscard]] Seconds next_start() { return served_.loop().next_start(); }
  [[nodiscard]] std::vector<scheduler::ServingLoop::Ending> take_endings() { return std::exchange(endings_, {}); }
  // As is known at `now`.
  [[nodiscard]] std::int64_t unfinished(Seconds now) {
    run(now);
    while (!not_known_.empty() && not_known_.front() <= now) {
      not_known_.pop_front();
      --unfinished_;
    }
    return unfinished_;
  }
  [[nodiscard]] const RequestSpec& request(std::size_t i) const { return requests_[i]; }
  [[nodiscard]] CellReplica finish() {
    CellReplica out;
    out.group = group_;
    if (!requests_.empty()) {
      run(Seconds(std::numeric_limits<double>::infinity()));
      out.run = served_.close();
    }
    out.requests = std::move(requests_);
    out.turned_away = std::move(turned_away_);
    return out;
  }

 private:
  void note_endings() {
    for (const scheduler::ServingLoop::Ending& ending : served_.loop().take_endings()) {
      not_known_.push_back(ending.at);
      endings_.push_back(ending);
    }
  }

  std::size_t group_;
  MaxplusReplica served_;
  std::vector<scheduler::ServingLoop::Ending> endings_;
  std::deque<Seconds> not_known_;  // endings that the router does not know of yet
  std::int64_t unfinished_ = 0;
  std::vector<RequestSpec> requests_;
  std::vector<RequestSpec> turned_away_;
};

}  // namespace lindos::sim
