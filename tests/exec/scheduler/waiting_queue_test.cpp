// SPDX-License-Identifier: Apache-2.0
#include "exec/scheduler/waiting_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lindos::scheduler {
namespace {

Sequence make(RequestId id, int priority, std::uint64_t arrival) {
  Sequence sequence;
  sequence.id = id;
  sequence.priority = priority;
  sequence.arrival = arrival;
  return sequence;
}

std::vector<RequestId> order(const WaitingQueue& queue) {
  std::vector<RequestId> ids;
  queue.visit_in_order([&ids](const Sequence& s) {
    ids.push_back(s.id);
    return true;
  });
  return ids;
}

TEST(WaitingQueue, OrdersByPriorityThenArrival) {
  Sequence a = make(1, 0, 0);
  Sequence b = make(2, 5, 1);
  Sequence c = make(3, 0, 2);
  Sequence d = make(4, 5, 3);
  WaitingQueue queue;
  for (Sequence* s : {&a, &b, &c, &d}) queue.insert(*s);
  EXPECT_THAT(order(queue), ::testing::ElementsAre(2, 4, 1, 3));
  EXPECT_EQ(queue.ahead_of_newcomer(9), 0u);
  EXPECT_EQ(queue.ahead_of_newcomer(5), 2u);
  EXPECT_EQ(queue.ahead_of_newcomer(1), 2u);
  EXPECT_EQ(queue.ahead_of_newcomer(0), 4u);

  queue.pop_front();
  queue.erase(a);
  EXPECT_THAT(order(queue), ::testing::ElementsAre(4, 3));
  queue.insert(b);
  EXPECT_THAT(order(queue), ::testing::ElementsAre(2, 4, 3));
  EXPECT_EQ(&queue.front(), &b);
  EXPECT_EQ(queue.size(), 3u);
}

}  // namespace
}  // namespace lindos::scheduler
