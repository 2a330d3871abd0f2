// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu_pool.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace lindos::kernels {
namespace {

// Longer than the gap between two kernels of a step (a few microseconds), shorter than anything that would
// hurt another rank on the same core. Sleeping and waking costs about as much, so this is at most twice the
// optimum.
constexpr std::chrono::microseconds kSpin{60};

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

// True as soon as `ready()` is; false when it stayed false for kSpin.
template <class Ready>
bool spin_until(Ready ready) {
  if (ready()) return true;
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 32; ++i) {
      if (ready()) return true;
      pause();
    }
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

}  // namespace

// One region: the owner writes call and context, then raises `epoch`; workers run and lower `running`.
// A sleeper first announces itself (sleepers), then re-reads the value it waits for; the other side writes
// that value first, then reads `sleepers`. All four are sequentially consistent, so one of the two sees the
// other and no wake-up is lost.
struct CpuPool::State {
  // Own cache lines: workers poll `epoch` while others count `running` down.
  alignas(64) std::atomic<std::uint64_t> epoch{0};
  alignas(64) std::atomic<int> running{0};
  alignas(64) std::atomic<int> sleepers{0};
  Call call = nullptr;
  void* context = nullptr;
  bool stop = false;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::thread> workers;

  template <class Ready>
  void wait(Ready ready) {
    if (spin_until(ready)) return;
    sleepers.fetch_add(1);
    {
      std::unique_lock lock(mutex);
      changed.wait(lock, ready);
    }
    sleepers.fetch_sub(1);
  }

  void wake() {
    if (sleepers.load() == 0) return;
    { const std::lock_guard lock(mutex); }  // a sleeper between its check and its sleep holds the mutex
    changed.notify_all();
  }

  void publish(int worker_count) {
    running.store(worker_count);
    epoch.fetch_add(1);
    wake();
  }

  void work(int member, int threads) {
    for (std::uint64_t seen = 0;;) {
      wait([&] { return epoch.load() != seen; });
      ++seen;  // the owner waits for every worker, so epochs cannot be skipped
      if (stop) return;
      call(context, member, threads);
      if (running.fetch_sub(1) == 1) wake();
    }
  }
};

CpuPool::CpuPool(int threads) : threads_(threads < 1 ? 1 : threads) {
  if (threads_ == 1) return;
  state_ = std::make_unique<State>();
  for (int member = 1; member < threads_; ++member) {
    state_->workers.emplace_back([state = state_.get(), member, count = threads_] { state->work(member, count); });
  }
}

CpuPool::~CpuPool() {
  if (!state_) return;
  state_->stop = true;
  state_->publish(0);
  for (std::thread& worker : state_->workers) worker.join();
}

void CpuPool::run_erased(Call call, void* context) {
  if (!state_) {
    call(context, 0, 1);
    return;
  }
  state_->call = call;
  state_->context = context;
  state_->publish(threads_ - 1);
  call(context, 0, threads_);
  state_->wait([&] { return state_->running.load() == 0; });
}

}  // namespace lindos::kernels
