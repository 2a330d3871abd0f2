// SPDX-License-Identifier: Apache-2.0
#include "exec/cuda/peer_group.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <functional>
#include <random>
#include <span>
#include <string_view>
#include <vector>

#include <unistd.h>

#include "exec/cuda/stream_watch.h"
#include "kernels/cuda/device_limits.h"
#include "scenarios/error.h"

namespace lindos::exec::cuda {

namespace {

namespace kc = kernels::cuda;

// cudaMalloc cuts smaller ones out of a block that they share with others, and a handle stands for the whole block.
constexpr std::size_t kOwnAllocation = std::size_t{2} << 20;
constexpr std::size_t kAlignment = 256;
// The host gives up after the kernels have: their answer names the rank.
constexpr std::chrono::seconds kLonger = kCollectivePatience + std::chrono::seconds(5);

std::size_t aligned(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// One allocation that all ranks reach: words | partial sums, two in turn | residual stream.
struct Region {
  Region(std::int64_t rows, std::int64_t width)
      : block(aligned(static_cast<std::size_t>(rows * width) * sizeof(Number))),
        bytes(std::max(aligned(kernels::kPeerWords * sizeof(std::uint32_t)) + 3 * block, kOwnAllocation)) {}
  [[nodiscard]] static std::uint32_t* words(std::byte* base) { return reinterpret_cast<std::uint32_t*>(base); }
  [[nodiscard]] Number* partial(std::byte* base, std::size_t parity) const { return rows_at(base, parity); }
  [[nodiscard]] Number* residual(std::byte* base) const { return rows_at(base, 2); }
  std::size_t block, bytes;

 private:
  [[nodiscard]] Number* rows_at(std::byte* base, std::size_t which) const {
    return reinterpret_cast<Number*>(base + aligned(kernels::kPeerWords * sizeof(std::uint32_t)) + which * block);
  }
};

// What a rank tells the others of itself: trivially copyable.
struct Card {
  cudaIpcMemHandle_t handle;
  std::byte* address;
  std::uint64_t host;
  std::uint64_t process;
  std::array<char, 16> device;
  int multiprocessors;
};

// The same for processes of one running system only: its name, and what it drew when it started.
std::uint64_t host_id() {
  std::array<char, 256> name{};
  (void)gethostname(name.data(), name.size() - 1);
  std::string boot;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
  return std::hash<std::string>{}(std::string(name.data()) + boot);
}

// Drawn, since containers of one host may give two processes the same number.
std::uint64_t process_id() {
  static const std::uint64_t kDrawn = [] {
    std::random_device device;
    return (std::uint64_t{device()} << 32U) | device();
  }();
  return kDrawn;
}

Card card_of(std::byte* base) {
  Card card{};
  card.address = base;
  card.host = host_id();
  card.process = process_id();
  int device = 0;
  cudaDeviceProp properties{};
  check(cudaGetDevice(&device), "current device");
  check(cudaGetDeviceProperties(&properties, device), "properties of the device");
  static_assert(sizeof properties.uuid.bytes == sizeof card.device);
  std::memcpy(card.device.data(), properties.uuid.bytes, card.device.size());
  card.multiprocessors = kc::multiprocessors();
  return card;
}

bool is_threads(const Communicator& comm) { return std::string_view(comm.backend()) == "thread"; }

class PeerGroup final : public TensorGroup {
 public:
  PeerGroup(Communicator& comm, Element element, std::int64_t rows, std::int64_t width)
      : comm_(&comm), element_(element), width_(width), region_(rows, width), memory_(region_.bytes), epochs_(kernels::kMostPeerBlocks * sizeof(std::uint32_t)),
        fault_(sizeof(kc::PeerFault)) {
    *fault_.as<kc::PeerFault>() = {};
  }
  PeerGroup(const PeerGroup&) = delete;
  PeerGroup& operator=(const PeerGroup&) = delete;
  ~PeerGroup() override {
    // After an error a step may still be under way, and its kernels wait.
    release();
    for (void* memory : mapped_) (void)cudaIpcCloseMemHandle(memory);
  }

  void meet() override {
    if (met_) return;
    const std::string reason = try_to_meet();
    if (!reason.empty()) throw Error(ErrorKind::kEnvironment, "peer memory", reason);
  }
  // All ranks together. On all of them, why one does not reach another's memory, or nothing.
  [[nodiscard]] std::string try_to_meet() {
    std::vector<Card> cards(static_cast<std::size_t>(comm_->size()));
    const auto self = static_cast<std::size_t>(comm_->rank());
    cards[self] = card_of(base());
    std::string reason;
    if (!is_threads(*comm_)) {
      const cudaError_t status = cudaIpcGetMemHandle(&cards[self].handle, base());
      if (status != cudaSuccess) {
        (void)cudaGetLastError();
        reason = who() + " cannot share its memory (" + cudaGetErrorString(status) + ")";
      }
    }
    for (std::size_t r = 0; r < cards.size(); ++r) {
      comm_->broadcast(std::as_writable_bytes(std::span<Card, 1>(&cards[r], 1)), static_cast<int>(r));
    }
    int most_sharing = 1;
    multiprocessors_ = cards.front().multiprocessors;
    for (std::size_t r = 0; r < cards.size(); ++r) {
      const auto sharing = std::count_if(cards.begin(), cards.end(), [&](const Card& c) { return c.host == cards[r].host && c.device == cards[r].device; });
      most_sharing = std::max(most_sharing, static_cast<int>(sharing));
      multiprocessors_ = std::min(multiprocessors_, cards[r].multiprocessors);
      bases_[r] = reason.empty() ? reach(cards[r], cards[self], static_cast<int>(r), reason) : nullptr;
    }
    sharing_ = most_sharing;
    // One that cannot is enough for all to go another way.
    float cannot = reason.empty() ? 0.0F : 1.0F;
    comm_->all_reduce_sum(std::span<float>(&cannot, 1));
    met_ = cannot == 0.0F;
    return met_ || !reason.empty() ? reason : "another rank does not reach all";
  }

  [[nodiscard]] Number* residual() const override { return region_.residual(base()); }
  [[nodiscard]] Number* partial() const override { return region_.partial(base(), parity_); }

  void add(const Number* bias, const kc::FollowingNorm& norm, std::int64_t rows, const kc::Launch& launch) override {
    const int ranks = comm_->size();
    kc::PeerSum sum;
    sum.plan.shots = kernels::peer_shots(ranks, rows, width_ * static_cast<std::int64_t>(sizeof(Number)));
    sum.plan.blocks = kernels::peer_blocks(sum.plan.shots, ranks, rows, multiprocessors_, sharing_);
    sum.plan.ranks = ranks;
    sum.plan.rank = comm_->rank();
    sum.plan.rows = rows;
    sum.sum.element = element_;
    sum.sum.residual = residual();
    for (int r = 0; r < ranks; ++r) {
      std::byte* of_rank = bases_[static_cast<std::size_t>(r)];
      sum.sum.partial[r] = region_.partial(of_rank, parity_);
      sum.residual[r] = region_.residual(of_rank);
      sum.words[r] = Region::words(of_rank);
    }
    sum.sum.ranks = ranks;
    sum.sum.rows = rows;
    sum.sum.width = width_;
    sum.sum.bias = bias;
    sum.sum.norm = norm;
    sum.epochs = epochs_.as<std::uint32_t>();
    sum.fault = fault_.as<kc::PeerFault>();
    sum.patience_ns = static_cast<std::uint64_t>(std::chrono::nanoseconds(kCollectivePatience).count());
    kc::all_reduce_peer(sum, launch);
    stream_ = launch.stream;
    parity_ = 1 - parity_;
  }

  void wait(const Stream& stream, const char* what) override {
    const auto look = [&] {
      comm_->throw_if_aborted();
      if (const std::uint32_t missing = fault()->missing; missing != 0) {
        throw Error(ErrorKind::kEnvironment, "peer memory",
                    who() + " waited " + std::to_string(kCollectivePatience.count()) + " s for rank " + std::to_string(missing - 1) + " in " + what);
      }
    };
    try {
      if (!watch_stream(stream, what, kLonger, look)) {
        throw Error(ErrorKind::kEnvironment, "peer memory", who() + " waited " + std::to_string(kLonger.count()) + " s in " + what);
      }
      look();
    } catch (const Error&) {
      release();
      throw;
    }
  }

  [[nodiscard]] bool can_capture() const override { return met_; }
  [[nodiscard]] const char* way() const override { return "peer"; }
  [[nodiscard]] std::size_t bytes() const override { return memory_.bytes() + epochs_.bytes(); }

 private:
  [[nodiscard]] std::byte* base() const { return memory_.as<std::byte>(); }
  [[nodiscard]] volatile kc::PeerFault* fault() const { return fault_.as<volatile kc::PeerFault>(); }
  // Waiting kernels leave, so that memory can be freed.
  void release() const {
    fault()->leave = 1;
    if (stream_ != nullptr) (void)cudaStreamSynchronize(stream_);
  }
  [[nodiscard]] std::string who() const { return "rank " + std::to_string(comm_->rank()) + " of " + std::to_string(comm_->size()); }

  // Where this rank finds the other's memory; null with the reason.
  std::byte* reach(const Card& other, const Card& self, int rank, std::string& reason) {
    if (other.host != self.host) {
      reason = who() + " is on another host than rank " + std::to_string(rank);
      return nullptr;
    }
    if (other.process == self.process) return other.address;
    void* memory = nullptr;
    const cudaError_t status = cudaIpcOpenMemHandle(&memory, other.handle, cudaIpcMemLazyEnablePeerAccess);
    if (status != cudaSuccess) {
      (void)cudaGetLastError();
      reason = who() + " cannot map the memory of rank " + std::to_string(rank) + " (" + cudaGetErrorString(status) + ")";
      return nullptr;
    }
    mapped_.push_back(memory);
    return static_cast<std::byte*>(memory);
  }

  Communicator* comm_;
  Element element_;
  std::int64_t width_;
  Region region_;
  DeviceBuffer memory_, epochs_;
  PinnedBuffer fault_;
  cudaStream_t stream_ = nullptr;   // of the last sum; outlives the group
  std::vector<void*> mapped_;
  std::array<std::byte*, kernels::kMostPeers> bases_{};
  int multiprocessors_ = 0;
  int sharing_ = 1;
  bool met_ = false;
  std::size_t parity_ = 0;
};

}  // namespace

std::unique_ptr<TensorGroup> make_peer_group(Communicator& comm, Element element, std::int64_t rows, std::int64_t width, std::string& reason) {
  if (comm.size() > kernels::kMostPeers) {
    reason = std::to_string(comm.size()) + " ranks; at most " + std::to_string(kernels::kMostPeers) + " meet in peer memory";
    return nullptr;
  }
  auto group = std::make_unique<PeerGroup>(comm, element, rows, width);
  if (is_threads(comm)) return group;
  reason = group->try_to_meet();
  if (!reason.empty()) return nullptr;
  return group;
}

}  // namespace lindos::exec::cuda
