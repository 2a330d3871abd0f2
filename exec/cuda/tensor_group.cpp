// SPDX-License-Identifier: Apache-2.0
#include "exec/cuda/tensor_group.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "exec/cuda/nccl.h"
#include "exec/cuda/peer_group.h"
#include "exec/cuda/stream_watch.h"
#include "scenarios/error.h"

namespace lindos::exec::cuda {

namespace {

namespace kc = kernels::cuda;

DeviceBuffer rows_buffer(std::int64_t rows, std::int64_t width) {
  return DeviceBuffer(static_cast<std::size_t>(rows * width) * sizeof(Number));
}

kc::PartialSum sum_into(Element element, Number* residual, const Number* bias, const kc::FollowingNorm& norm, std::int64_t rows, std::int64_t width) {
  kc::PartialSum sum;
  sum.element = element;
  sum.residual = residual;
  sum.rows = rows;
  sum.width = width;
  sum.bias = bias;
  sum.norm = norm;
  return sum;
}

// Threads on one device. Two buffers in turn: when a rank writes one again, every rank has waited for an event that was
// recorded after the last read of it. Host barriers only order the recording of those events.
class SharedDeviceGroup final : public TensorGroup {
 public:
  SharedDeviceGroup(Communicator& comm, Element element, std::int64_t rows, std::int64_t width)
      : comm_(&comm), element_(element), width_(width), residual_(rows_buffer(rows, width)) {
    if (comm.size() > kernels::kMostPeers) {
      throw Error(ErrorKind::kInput, "CUDA backend",
                  std::to_string(comm.size()) + " tensor-parallel ranks on one device; at most " + std::to_string(kernels::kMostPeers));
    }
    for (DeviceBuffer& partial : partial_) partial = rows_buffer(rows, width);
  }

  // Pointers are valid in all ranks, since they are threads.
  void meet() override {
    for (std::size_t p = 0; p < 2; ++p) {
      for (int r = 0; r < comm_->size(); ++r) {
        const Number* partial = partial_[p].as<Number>();
        cudaEvent_t event = ready_[p].get();
        comm_->broadcast(std::as_writable_bytes(std::span<const Number*, 1>(&partial, 1)), r);
        comm_->broadcast(std::as_writable_bytes(std::span<cudaEvent_t, 1>(&event, 1)), r);
        rank_partials_[p].push_back(partial);
        rank_events_[p].push_back(event);
      }
    }
  }

  [[nodiscard]] Number* residual() const override { return residual_.as<Number>(); }
  [[nodiscard]] Number* partial() const override { return partial_[parity_].as<Number>(); }

  void add(const Number* bias, const kc::FollowingNorm& norm, std::int64_t rows, const kc::Launch& launch) override {
    check(cudaEventRecord(ready_[parity_].get(), launch.stream), "recording an event");
    comm_->barrier();
    kc::PartialSum sum = sum_into(element_, residual(), bias, norm, rows, width_);
    sum.ranks = comm_->size();
    for (std::size_t r = 0; r < rank_events_[parity_].size(); ++r) {
      check(cudaStreamWaitEvent(launch.stream, rank_events_[parity_][r], 0), "waiting for another rank");
      sum.partial[r] = rank_partials_[parity_][r];
    }
    kc::add_partials(sum, launch);
    parity_ = 1 - parity_;
  }

  void wait(const Stream& stream, const char* what) override { stream.synchronise(what); }
  [[nodiscard]] bool can_capture() const override { return false; }
  [[nodiscard]] const char* way() const override { return "events"; }
  [[nodiscard]] std::size_t bytes() const override { return residual_.bytes() + partial_[0].bytes() + partial_[1].bytes(); }

 private:
  Communicator* comm_;
  Element element_;
  std::int64_t width_;
  DeviceBuffer residual_;
  DeviceBuffer partial_[2];
  Event ready_[2] = {Event(false), Event(false)};
  std::vector<const Number*> rank_partials_[2];   // [parity][rank]
  std::vector<cudaEvent_t> rank_events_[2];
  std::size_t parity_ = 0;
};

class NcclGroup final : public TensorGroup {
 public:
  NcclGroup(Communicator& comm, Element element, std::int64_t rows, std::int64_t width)
      : comm_(&comm), element_(element), width_(width), residual_(rows_buffer(rows, width)), partial_(rows_buffer(rows, width)), nccl_(comm) {}

  void meet() override {}   // NCCL's communicator has met when it was made

  [[nodiscard]] Number* residual() const override { return residual_.as<Number>(); }
  [[nodiscard]] Number* partial() const override { return partial_.as<Number>(); }

  void add(const Number* bias, const kc::FollowingNorm& norm, std::int64_t rows, const kc::Launch& launch) override {
    nccl_.all_reduce(element_, partial(), static_cast<std::size_t>(rows * width_), launch.stream);
    kc::PartialSum sum = sum_into(element_, residual(), bias, norm, rows, width_);
    sum.ranks = 1;
    sum.partial[0] = partial();
    kc::add_partials(sum, launch);
  }

  // A collective whose partner has died never ends: the stream is watched instead of waited for.
  void wait(const Stream& stream, const char* what) override {
    if (watch_stream(stream, what, kCollectivePatience, [this] { nccl_.check(); })) return;
    nccl_.give_up("rank " + std::to_string(comm_->rank()) + " of " + std::to_string(comm_->size()) + " waited " +
                  std::to_string(kCollectivePatience.count()) + " s for the others in " + what);
  }

  [[nodiscard]] bool can_capture() const override { return false; }
  [[nodiscard]] const char* way() const override { return "nccl"; }
  [[nodiscard]] std::size_t bytes() const override { return residual_.bytes() + partial_.bytes(); }

 private:
  Communicator* comm_;
  Element element_;
  std::int64_t width_;
  DeviceBuffer residual_, partial_;
  Nccl nccl_;
};

}  // namespace

std::unique_ptr<TensorGroup> make_tensor_group(Communicator& comm, Element element, std::int64_t rows, std::int64_t width, AllReduce choice) {
  const bool is_threads = std::string_view(comm.backend()) == "thread";
  if (is_threads && choice == AllReduce::kAuto) return std::make_unique<SharedDeviceGroup>(comm, element, rows, width);
  if (choice == AllReduce::kNccl) return std::make_unique<NcclGroup>(comm, element, rows, width);
  std::string reason;
  if (std::unique_ptr<TensorGroup> group = make_peer_group(comm, element, rows, width, reason)) return group;
  if (choice == AllReduce::kPeer) throw Error(ErrorKind::kEnvironment, "peer memory", reason);
  return std::make_unique<NcclGroup>(comm, element, rows, width);
}

}  // namespace lindos::exec::cuda
