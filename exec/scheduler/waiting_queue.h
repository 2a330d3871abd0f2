// SPDX-License-Identifier: Apache-2.0
// Requests that hold no KV blocks: never started, or preempted. Ordered by rank (priority, then
// arrival). Borrows the sequences.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <map>

#include "exec/scheduler/sequence.h"

namespace lindos::scheduler {

class WaitingQueue {
 public:
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  // Waiting requests that rank before a newcomer of this priority.
  [[nodiscard]] std::size_t ahead_of_newcomer(int priority) const;
  // REQUIRES: not empty.
  [[nodiscard]] Sequence& front() const { return *levels_.begin()->second.front(); }

  // At its rank: a newcomer at the end of its priority, a preempted request before the newcomers.
  // Constant time at either end.
  void insert(Sequence& sequence);
  void pop_front();
  // REQUIRES: `sequence` waits here.
  void erase(const Sequence& sequence);

  // Calls visit(Sequence&) in rank order until it returns false.
  template <class Visit>
  void visit_in_order(Visit visit) const {
    for (const auto& [priority, level] : levels_) {
      for (Sequence* sequence : level) {
        if (!visit(*sequence)) return;
      }
    }
  }

 private:
  void count_removal(std::map<int, std::deque<Sequence*>, std::greater<>>::iterator level);

  std::map<int, std::deque<Sequence*>, std::greater<>>
      levels_;  // by priority, highest first; none empty
  std::size_t size_ = 0;
};

}  // namespace lindos::scheduler
