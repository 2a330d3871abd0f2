// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <optional>

#include "exec/comm/communicator.h"
#include "scenarios/error.h"

namespace lindos::exec {

namespace {

// Calls and bytes are counted as with more ranks, so that plans of one and of many ranks compare.
class SingleCommunicator final : public Communicator {
 public:
  [[nodiscard]] int rank() const override { return 0; }
  [[nodiscard]] int size() const override { return 1; }
  [[nodiscard]] const char* backend() const override { return "single"; }

  void all_reduce_sum(std::span<float> data) override { count(data.size_bytes()); }

  void all_gather_v(std::span<const float> local, std::span<float> all,
                    std::span<const std::int64_t> counts) override {
    LINDOS_ASSERT(counts.size() == 1 && local.size() == all.size(), "one rank gathers from itself");
    static_cast<void>(counts);
    if (local.data() != all.data()) std::copy(local.begin(), local.end(), all.begin());
    count(all.size_bytes());
  }

  void broadcast(std::span<std::byte> data, int root) override {
    LINDOS_ASSERT(root == 0, "no such rank");
    static_cast<void>(root);
    count(data.size_bytes());
  }

  void send(std::span<const std::byte>, int) override { refuse_peer(); }
  void recv(std::span<std::byte>, int) override { refuse_peer(); }
  void barrier() override { count(0); }
  void abort(const std::string& reason) override {
    if (!aborted_) aborted_ = reason;
  }
  void throw_if_aborted() override {
    if (aborted_) throw Error(ErrorKind::kEnvironment, "communicator", *aborted_);
  }

 private:
  void count(std::size_t bytes) {
    throw_if_aborted();
    stats_.bytes += bytes;
    ++stats_.calls;
  }
  [[noreturn]] static void refuse_peer() {
    throw Error(ErrorKind::kEnvironment, "communicator",
                "a single rank has no peer to send to or receive from");
  }

  std::optional<std::string> aborted_;
};

}  // namespace

std::unique_ptr<Communicator> make_single_communicator() {
  return std::make_unique<SingleCommunicator>();
}

}  // namespace lindos::exec
