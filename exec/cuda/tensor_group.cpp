// SPDX-License-Identifier: Apache-2.0
#include "exec/cuda/tensor_group.h"

#include <chrono>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "exec/cuda/nccl.h"
#include "kernels/cuda/elementwise.h"
#include "scenarios/error.h"

namespace lindos::exec::cuda {

namespace {

namespace kc = kernels::cuda;
using Bf16 = __nv_bfloat16;

// A collective that lasts longer has lost a rank: the largest step takes a second or two.
constexpr std::chrono::seconds kPatience{60};
constexpr std::chrono::microseconds kBetweenLooks{50};
constexpr std::chrono::milliseconds kSpin{2};

DeviceBuffer partial_buffer(std::int64_t rows, std::int64_t width) {
  return DeviceBuffer(static_cast<std::size_t>(rows * width) * sizeof(Bf16));
}

// Threads on one device. Two buffers in turn: when a rank writes one again, every rank has waited for an event that was
// recorded after the last read of it. Host barriers only order the recording of those events.
class SharedDeviceGroup final : public TensorGroup {
 public:
  SharedDeviceGroup(Communicator& comm, std::int64_t rows, std::int64_t width) : comm_(&comm), width_(width) {
    if (comm.size() > kc::kMostRanks) {
      throw Error(ErrorKind::kInput, "CUDA backend",
                  std::to_string(comm.size()) + " tensor-parallel ranks on one device; at most " + std::to_string(kc::kMostRanks));
    }
    for (DeviceBuffer& partial : partial_) partial = partial_buffer(rows, width);
  }

  [[nodiscard]] Bf16* partial() const override { return partial_[parity_].as<Bf16>(); }

  void add_to(Bf16* residual, const Bf16* bias, std::int64_t rows, const Stream& stream) override {
    if (rank_partials_.empty()) meet();
    ready_[parity_].record(stream);
    comm_->barrier();
    kc::Partials partials;
    partials.ranks = comm_->size();
    for (std::size_t r = 0; r < rank_events_[parity_].size(); ++r) {
      check(cudaStreamWaitEvent(stream.get(), rank_events_[parity_][r], 0), "waiting for another rank");
      partials.of_rank[r] = rank_partials_[parity_][r];
    }
    kc::add_partials(residual, partials, bias, rows, width_, {stream.get(), false});
    parity_ = 1 - parity_;
  }

  void wait(const Stream& stream, const char* what) override { stream.synchronise(what); }
  [[nodiscard]] std::size_t bytes() const override { return partial_[0].bytes() + partial_[1].bytes(); }

 private:
  // Pointers are valid in all ranks, since they are threads. At the first sum, when every rank runs in its own thread.
  void meet() {
    for (std::size_t p = 0; p < 2; ++p) {
      rank_partials_.emplace_back();
      rank_events_.emplace_back();
      for (int r = 0; r < comm_->size(); ++r) {
        const Bf16* partial = partial_[p].as<Bf16>();
        cudaEvent_t event = ready_[p].get();
        comm_->broadcast(std::as_writable_bytes(std::span<const Bf16*, 1>(&partial, 1)), r);
        comm_->broadcast(std::as_writable_bytes(std::span<cudaEvent_t, 1>(&event, 1)), r);
        rank_partials_.back().push_back(partial);
        rank_events_.back().push_back(event);
      }
    }
  }

  Communicator* comm_;
  std::int64_t width_;
  DeviceBuffer partial_[2];
  Event ready_[2] = {Event(false), Event(false)};
  std::vector<std::vector<const Bf16*>> rank_partials_;   // [parity][rank]
  std::vector<std::vector<cudaEvent_t>> rank_events_;
  std::size_t parity_ = 0;
};

class NcclGroup final : public TensorGroup {
 public:
  NcclGroup(Communicator& comm, std::int64_t rows, std::int64_t width)
      : rank_(comm.rank()), size_(comm.size()), width_(width), partial_(partial_buffer(rows, width)), nccl_(comm) {}

  [[nodiscard]] Bf16* partial() const override { return partial_.as<Bf16>(); }

  void add_to(Bf16* residual, const Bf16* bias, std::int64_t rows, const Stream& stream) override {
    nccl_.all_reduce(partial(), static_cast<std::size_t>(rows * width_), stream.get());
    kc::Partials sum;
    sum.ranks = 1;
    sum.of_rank[0] = partial();
    kc::add_partials(residual, sum, bias, rows, width_, {stream.get(), false});
  }

  // A collective whose partner has died never ends: the stream is watched instead of waited for.
  void wait(const Stream& stream, const char* what) override {
    const auto begin = std::chrono::steady_clock::now();
    for (;;) {
      const cudaError_t state = cudaStreamQuery(stream.get());
      if (state == cudaSuccess) return;
      if (state != cudaErrorNotReady) cuda::check(state, what);
      nccl_.check();
      if (std::chrono::steady_clock::now() - begin > kPatience) {
        nccl_.give_up("rank " + std::to_string(rank_) + " of " + std::to_string(size_) + " waited " + std::to_string(kPatience.count()) +
                      " s for the others in " + what);
      }
      // Steps of decodes end within a millisecond or two: a sleep would add to each.
      if (std::chrono::steady_clock::now() - begin > kSpin) std::this_thread::sleep_for(kBetweenLooks);
    }
  }

  [[nodiscard]] std::size_t bytes() const override { return partial_.bytes(); }

 private:
  int rank_, size_;
  std::int64_t width_;
  DeviceBuffer partial_;
  Nccl nccl_;
};

}  // namespace

std::unique_ptr<TensorGroup> make_tensor_group(Communicator& comm, std::int64_t rows, std::int64_t width) {
  if (std::string(comm.backend()) == "thread") return std::make_unique<SharedDeviceGroup>(comm, rows, width);
  return std::make_unique<NcclGroup>(comm, rows, width);
}

}  // namespace lindos::exec::cuda
