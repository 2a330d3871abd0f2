// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <numeric>

#include "exec/comm/communicator.h"
#include "exec/comm/rank_order.h"
#include "exec/comm/thread_group.h"
#include "scenarios/error.h"

namespace lindos::exec {

namespace {

// Books one call: from construction until the last rank came is waiting, the rest is transfer.
class CallTimer {
 public:
  CallTimer(CommStats& stats, std::size_t bytes) : stats_(stats), bytes_(bytes) {}
  void all_there(SteadyTime when) { there_ = std::max(when, begin_); }
  void done() {
    using Seconds = std::chrono::duration<double>;
    stats_.wait_s += Seconds(there_ - begin_).count();
    stats_.transfer_s += Seconds(std::chrono::steady_clock::now() - there_).count();
    stats_.bytes += bytes_;
    ++stats_.calls;
  }

 private:
  CommStats& stats_;
  std::size_t bytes_;
  SteadyTime begin_ = std::chrono::steady_clock::now();
  SteadyTime there_ = begin_;
};

class ThreadCommunicator final : public Communicator {
 public:
  ThreadCommunicator(std::shared_ptr<ThreadGroup> group, int rank)
      : group_(std::move(group)), rank_(rank), inputs_(static_cast<std::size_t>(group_->ranks())) {}

  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int size() const override { return group_->ranks(); }
  [[nodiscard]] const char* backend() const override { return "thread"; }

  // Each rank sums one part over all ranks and writes it into every buffer; nobody else reads that
  // part.
  void all_reduce_sum(std::span<float> data) override {
    CallTimer timer(stats_, data.size_bytes());
    group_->slot(rank_) = {data.data(), data.data(), data.size()};
    timer.all_there(group_->open());
    const Part part = part_of(data.size(), rank_, size());
    // A tile stays in the first-level cache between summing and writing.
    std::array<float, 1024> tile;
    for (std::size_t begin = part.begin; begin < part.end; begin += tile.size()) {
      const std::size_t count = std::min(tile.size(), part.end - begin);
      for (int r = 0; r < size(); ++r) {
        LINDOS_ASSERT(group_->slot(r).size == data.size(),
                      "ranks disagree on the size of an all-reduce");
        inputs_[static_cast<std::size_t>(r)] =
            static_cast<const float*>(group_->slot(r).input) + begin;
      }
      sum_in_rank_order(inputs_, count, tile.data());
      for (int r = 0; r < size(); ++r) {
        std::copy_n(tile.data(), count, static_cast<float*>(group_->slot(r).output) + begin);
      }
    }
    group_->close();
    timer.done();
  }

  void all_gather_v(std::span<const float> local, std::span<float> all,
                    std::span<const std::int64_t> counts) override {
    LINDOS_ASSERT(counts.size() == inputs_.size(), "one count per rank");
    LINDOS_ASSERT(
        counts[static_cast<std::size_t>(rank_)] == static_cast<std::int64_t>(local.size()),
        "my count is the size of my part");
    LINDOS_ASSERT(std::accumulate(counts.begin(), counts.end(), std::int64_t{0}) ==
                      static_cast<std::int64_t>(all.size()),
                  "the counts add up to the gathered size");
    CallTimer timer(stats_, all.size_bytes());
    group_->slot(rank_) = {local.data(), nullptr, local.size()};
    timer.all_there(group_->open());
    float* out = all.data();
    for (int r = 0; r < size(); ++r) {
      const auto count = static_cast<std::size_t>(counts[static_cast<std::size_t>(r)]);
      LINDOS_ASSERT(group_->slot(r).size == count, "ranks disagree on the counts of an all-gather");
      const auto* in = static_cast<const float*>(group_->slot(r).input);
      if (in != out) std::copy_n(in, count, out);  // equal where the caller gathers in place
      out += count;
    }
    group_->close();
    timer.done();
  }

  void broadcast(std::span<std::byte> data, int root) override {
    LINDOS_ASSERT(root >= 0 && root < size(), "no such rank");
    CallTimer timer(stats_, data.size_bytes());
    group_->slot(rank_) = {data.data(), nullptr, data.size()};
    timer.all_there(group_->open());
    const ThreadGroup::Slot& source = group_->slot(root);
    LINDOS_ASSERT(source.size == data.size(), "ranks disagree on the size of a broadcast");
    if (rank_ != root)
      std::copy_n(static_cast<const std::byte*>(source.input), data.size(), data.data());
    group_->close();
    timer.done();
  }

  void send(std::span<const std::byte> data, int peer) override {
    CallTimer timer(stats_, data.size_bytes());
    group_->post(data, rank_, peer);
    timer.done();
  }

  void recv(std::span<std::byte> data, int peer) override {
    CallTimer timer(stats_, data.size_bytes());
    timer.all_there(group_->take(data, peer, rank_));
    timer.done();
  }

  void barrier() override {
    CallTimer timer(stats_, 0);
    timer.all_there(group_->open());
    timer.done();
  }

  void abort(const std::string& reason) override { group_->abort(reason); }
  void throw_if_aborted() override { group_->throw_if_aborted(); }

 private:
  std::shared_ptr<ThreadGroup> group_;
  int rank_;
  std::vector<const float*> inputs_;  // scratch of all_reduce_sum, one per rank
};

}  // namespace

std::vector<std::unique_ptr<Communicator>> make_thread_communicators(int n) {
  LINDOS_ASSERT(n >= 1, "a group has at least one rank");
  const auto group = std::make_shared<ThreadGroup>(n);
  std::vector<std::unique_ptr<Communicator>> communicators;
  for (int rank = 0; rank < n; ++rank) {
    communicators.push_back(std::make_unique<ThreadCommunicator>(group, rank));
  }
  return communicators;
}

}  // namespace lindos::exec
