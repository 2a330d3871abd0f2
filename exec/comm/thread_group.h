// SPDX-License-Identifier: Apache-2.0
// What the ranks of a thread communicator share: two barriers around each collective, a slot per
// rank, and a mailbox per pair.
//
//   write my slot ── open() ── read and write the others' buffers ── close() ── my buffers are mine
//   again
//
// open() can be aborted, close() cannot: a rank that left early could free memory that others still
// touch. It need not be: once open() has let the ranks in, all of them reach close() without
// waiting for anybody. Waits spin for a moment (a message between cores takes about 0.1 us, a
// wake-up through the kernel 5 to 50 us), then sleep in the kernel, for ranks may outnumber cores.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace lindos::exec {

using SteadyTime = std::chrono::steady_clock::time_point;

class ThreadGroup {
 public:
  explicit ThreadGroup(int ranks);

  // What one rank shows the others between open() and close().
  struct alignas(64) Slot {
    const void* input = nullptr;
    void* output = nullptr;
    std::size_t size = 0;
  };

  [[nodiscard]] int ranks() const { return static_cast<int>(slots_.size()); }
  [[nodiscard]] Slot& slot(int rank) { return slots_[static_cast<std::size_t>(rank)]; }

  // Returns when all ranks have come, with the time the last one came. Either all ranks return or
  // all throw Error{kEnvironment, reason of the abort}.
  SteadyTime open();
  void close();

  // Puts a copy into the mailbox (from, to).
  void post(std::span<const std::byte> data, int from, int to);
  // Takes the oldest message; returns when it was there. Throws on abort, or if its size is
  // another.
  SteadyTime take(std::span<std::byte> data, int from, int to);

  // The first reason is kept.
  void abort(const std::string& reason);
  void throw_if_aborted();

 private:
  struct Mailbox {
    std::mutex mutex;
    std::deque<std::vector<std::byte>> messages;
    std::vector<std::vector<std::byte>> spare;  // emptied buffers for reuse
    std::atomic<std::uint32_t> posted{0};       // changes with each message and on abort
  };

  [[nodiscard]] Mailbox& mailbox(int from, int to);
  [[noreturn]] void throw_aborted();
  // Returns the value once it differs from `seen`.
  std::uint32_t wait_while_equal(const std::atomic<std::uint32_t>& word, std::uint32_t seen) const;

  std::vector<Slot> slots_;
  std::deque<Mailbox> mailboxes_;  // [from * ranks + to]
  bool spin_;                      // every rank can have a core of its own
  // Bit 0: aborted; the rest counts completed openings. One word, so that an opening either
  // completed before the abort, for all ranks, or did not, for all ranks.
  alignas(64) std::atomic<std::uint32_t> opened_{0};
  alignas(64) std::atomic<std::uint32_t> arrived_{0};
  alignas(64) std::atomic<std::uint32_t> closed_{0};  // completed closings
  alignas(64) std::atomic<std::uint32_t> leaving_{0};
  SteadyTime last_arrival_{};  // written by the last rank before it opens
  std::mutex reason_mutex_;
  std::string reason_;
};

}  // namespace lindos::exec
