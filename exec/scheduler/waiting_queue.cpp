// SPDX-License-Identifier: Apache-2.0
#include "exec/scheduler/waiting_queue.h"

#include <algorithm>

#include "scenarios/error.h"

namespace lindos::scheduler {

std::size_t WaitingQueue::ahead_of_newcomer(int priority) const {
  std::size_t ahead = 0;
  for (const auto& [level, sequences] : levels_) {
    if (level < priority) break;
    ahead += sequences.size();
  }
  return ahead;
}

void WaitingQueue::push_back(Sequence& sequence) {
  std::deque<Sequence*>& level = levels_[sequence.priority];
  LINDOS_ASSERT(level.empty() || ranks_before(level.back(), &sequence), "queue out of order");
  level.push_back(&sequence);
  ++size_;
}

void WaitingQueue::push_front(Sequence& sequence) {
  std::deque<Sequence*>& level = levels_[sequence.priority];
  LINDOS_ASSERT(level.empty() || ranks_before(&sequence, level.front()), "queue out of order");
  level.push_front(&sequence);
  ++size_;
}

void WaitingQueue::pop_front() {
  const auto level = levels_.begin();
  level->second.pop_front();
  count_removal(level);
}

void WaitingQueue::erase(const Sequence& sequence) {
  const auto level = levels_.find(sequence.priority);
  LINDOS_ASSERT(level != levels_.end(), "erasing a request that does not wait");
  const auto place =
      std::lower_bound(level->second.begin(), level->second.end(), &sequence, ranks_before);
  LINDOS_ASSERT(place != level->second.end() && *place == &sequence,
                "erasing a request that does not wait");
  level->second.erase(place);
  count_removal(level);
}

void WaitingQueue::count_removal(
    std::map<int, std::deque<Sequence*>, std::greater<>>::iterator level) {
  --size_;
  if (level->second.empty()) levels_.erase(level);
}

}  // namespace lindos::scheduler
