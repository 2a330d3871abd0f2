// SPDX-License-Identifier: Apache-2.0
#include "exec/comm/thread_group.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "scenarios/error.h"

namespace lindos::exec {

namespace {

constexpr std::uint32_t kAborted = 1;
constexpr std::uint32_t kOpening = 2;

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

ThreadGroup::ThreadGroup(int ranks)
    : slots_(static_cast<std::size_t>(ranks)),
      mailboxes_(static_cast<std::size_t>(ranks) * static_cast<std::size_t>(ranks)),
      spin_(static_cast<unsigned>(ranks) <= std::thread::hardware_concurrency()) {}

std::uint32_t ThreadGroup::wait_while_equal(const std::atomic<std::uint32_t>& word,
                                            std::uint32_t seen) const {
  if (spin_) {
    // About the price of one sleep and wake-up: never much worse than the better of both.
    constexpr auto kSpin = std::chrono::microseconds(50);
    const SteadyTime end = std::chrono::steady_clock::now() + kSpin;
    do {
      for (int i = 0; i < 32; ++i) {
        const std::uint32_t now = word.load(std::memory_order_acquire);
        if (now != seen) return now;
        relax();
      }
    } while (std::chrono::steady_clock::now() < end);
  }
  word.wait(seen, std::memory_order_acquire);
  return word.load(std::memory_order_acquire);
}

SteadyTime ThreadGroup::open() {
  // Read before arriving: afterwards the others may complete the opening at any moment.
  std::uint32_t before = opened_.load(std::memory_order_acquire);
  if ((before & kAborted) != 0) throw_aborted();
  const auto all = static_cast<std::uint32_t>(slots_.size());
  // acq_rel: the last to arrive sees every slot, and passes that on by opening.
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == all) {
    last_arrival_ = std::chrono::steady_clock::now();
    arrived_.store(0, std::memory_order_relaxed);
    // Fails only if an abort came first.
    const bool opened =
        opened_.compare_exchange_strong(before, before + kOpening, std::memory_order_acq_rel);
    if (!opened) throw_aborted();
    opened_.notify_all();
    return last_arrival_;
  }
  const std::uint32_t after = wait_while_equal(opened_, before);
  if ((after | kAborted) == (before | kAborted)) throw_aborted();
  return last_arrival_;
}

void ThreadGroup::close() {
  const std::uint32_t before = closed_.load(std::memory_order_acquire);
  const auto all = static_cast<std::uint32_t>(slots_.size());
  if (leaving_.fetch_add(1, std::memory_order_acq_rel) + 1 == all) {
    leaving_.store(0, std::memory_order_relaxed);
    closed_.store(before + 1, std::memory_order_release);
    closed_.notify_all();
    return;
  }
  wait_while_equal(closed_, before);
}

ThreadGroup::Mailbox& ThreadGroup::mailbox(int from, int to) {
  LINDOS_ASSERT(from >= 0 && from < ranks() && to >= 0 && to < ranks(), "no such rank");
  return mailboxes_[static_cast<std::size_t>(from) * slots_.size() + static_cast<std::size_t>(to)];
}

void ThreadGroup::post(std::span<const std::byte> data, int from, int to) {
  throw_if_aborted();
  Mailbox& box = mailbox(from, to);
  std::vector<std::byte> message;
  {
    const std::scoped_lock lock(box.mutex);
    if (!box.spare.empty()) {
      message = std::move(box.spare.back());
      box.spare.pop_back();
    }
  }
  message.assign(data.begin(), data.end());
  {
    const std::scoped_lock lock(box.mutex);
    box.messages.push_back(std::move(message));
  }
  box.posted.fetch_add(1, std::memory_order_release);
  box.posted.notify_one();
}

SteadyTime ThreadGroup::take(std::span<std::byte> data, int from, int to) {
  Mailbox& box = mailbox(from, to);
  std::vector<std::byte> message;
  for (;;) {
    const std::uint32_t seen = box.posted.load(std::memory_order_acquire);
    throw_if_aborted();
    {
      const std::scoped_lock lock(box.mutex);
      if (!box.messages.empty()) {
        message = std::move(box.messages.front());
        box.messages.pop_front();
        break;
      }
    }
    wait_while_equal(box.posted, seen);
  }
  const SteadyTime there = std::chrono::steady_clock::now();
  if (message.size() != data.size()) {
    throw Error(ErrorKind::kEnvironment, "communicator",
                "rank " + std::to_string(to) + " expected " + std::to_string(data.size()) +
                    " bytes from rank " + std::to_string(from) + ", saw " +
                    std::to_string(message.size()));
  }
  std::copy(message.begin(), message.end(), data.begin());
  const std::scoped_lock lock(box.mutex);
  box.spare.push_back(std::move(message));
  return there;
}

void ThreadGroup::abort(const std::string& reason) {
  {
    const std::scoped_lock lock(reason_mutex_);
    if (reason_.empty()) reason_ = reason.empty() ? "aborted" : reason;
  }
  opened_.fetch_or(kAborted, std::memory_order_acq_rel);
  opened_.notify_all();
  for (Mailbox& box : mailboxes_) {
    box.posted.fetch_add(1, std::memory_order_release);
    box.posted.notify_all();
  }
}

void ThreadGroup::throw_if_aborted() {
  if ((opened_.load(std::memory_order_acquire) & kAborted) != 0) throw_aborted();
}

void ThreadGroup::throw_aborted() {
  const std::scoped_lock lock(reason_mutex_);
  throw Error(ErrorKind::kEnvironment, "communicator", reason_);
}

}  // namespace lindos::exec
