// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <barrier>
#include <chrono>
#include <functional>
#include <thread>
#include <vector>

#include "exec/comm/communicator.h"
#include "exec/probe/probe_parts.h"

namespace lindos::exec {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kBytes[] = {256, 2304, 9216, 36864, 147456, 589824, 2359296};

// Time per call of `body(communicator, calls)` on all ranks of a fresh group, `repeats` times.
Timing time_group(int ranks, const std::function<void(Communicator&, int calls)>& body) {
  auto group = make_thread_communicators(ranks);
  std::barrier<> gate(ranks);
  std::vector<double> times;
  constexpr int kRepeats = 7;
  int calls = 8;
  const auto run = [&](int rank) {
    Communicator& c = *group[static_cast<std::size_t>(rank)];
    for (int repeat = -1; repeat < kRepeats; ++repeat) {
      gate.arrive_and_wait();
      const auto t0 = Clock::now();
      body(c, calls);
      const double t = std::chrono::duration<double>(Clock::now() - t0).count() / calls;
      gate.arrive_and_wait();
      if (rank != 0) continue;
      if (repeat < 0) {
        calls = std::clamp(static_cast<int>(3e-3 / std::max(t, 1e-7)), 4, 2000);
      } else {
        times.push_back(t);
      }
    }
  };
  std::vector<std::thread> threads;
  for (int r = 1; r < ranks; ++r) threads.emplace_back(run, r);
  run(0);
  for (std::thread& t : threads) t.join();
  return timing_of(times);
}

}  // namespace

void ProbeSession::collectives() {
  std::set<int> tensor_ranks;
  bool pipeline = false;
  for (const GroupPlan& group : request_->groups) {
    pipeline = pipeline || group.stages.size() > 1;
    for (const StagePlan& stage : group.stages) {
      if (stage.ranks.size() > 1) tensor_ranks.insert(static_cast<int>(stage.ranks.size()));
    }
  }
  report("collectives", 0.92);
  const auto add = [&](const char* op, int ranks, std::size_t bytes, const Timing& t) {
    profile_->collectives.push_back({op, "thread", ranks, Bytes{static_cast<double>(bytes)}, t.time, t.spread});
  };
  for (int ranks : tensor_ranks) {
    for (std::size_t bytes : kBytes) {
      add("all_reduce", ranks, bytes, time_group(ranks, [bytes](Communicator& c, int calls) {
            std::vector<float> data(bytes / sizeof(float), 1e-3F);
            for (int i = 0; i < calls; ++i) c.all_reduce_sum(data);
          }));
    }
    for (std::size_t bytes : {std::size_t{8}, std::size_t{256}, std::size_t{8192}}) {
      add("all_gather", ranks, bytes, time_group(ranks, [bytes, ranks](Communicator& c, int calls) {
            const std::vector<float> local(bytes / sizeof(float), 1e-3F);
            std::vector<float> all(local.size() * static_cast<std::size_t>(ranks));
            const std::vector<std::int64_t> counts(static_cast<std::size_t>(ranks), static_cast<std::int64_t>(local.size()));
            for (int i = 0; i < calls; ++i) c.all_gather_v(local, all, counts);
          }));
    }
  }
  if (!pipeline) return;
  for (std::size_t bytes : kBytes) {
    // Ping-pong: half a round trip is one hand-over, wake-up of the receiver included.
    const Timing t = time_group(2, [bytes](Communicator& c, int calls) {
      std::vector<std::byte> data(bytes);
      for (int i = 0; i < calls; ++i) {
        if (c.rank() == 0) {
          c.send(data, 1);
          c.recv(data, 1);
        } else {
          c.recv(data, 0);
          c.send(data, 0);
        }
      }
    });
    add("send_recv", 2, bytes, {t.time / 2.0, t.spread});
  }
}

}  // namespace lindos::exec
