// SPDX-License-Identifier: Apache-2.0
#include "bench/gpu_all_reduce.h"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "exec/cuda/launch_timing.h"
#include "kernels/cuda/all_reduce.h"
#include "kernels/cuda/device_limits.h"
#include "scenarios/error.h"

namespace lindos::bench {

namespace {

namespace kc = kernels::cuda;
using exec::cuda::check;
using exec::cuda::DeviceBuffer;
using exec::cuda::Event;
using exec::cuda::PinnedBuffer;
using exec::cuda::Stream;
using kernels::cuda::Number;
using Json = nlohmann::ordered_json;

constexpr std::int64_t kWidth = 4096;    // of Llama-3.1-8B: rows of 8 KB
constexpr int kSums = 64;                // in a graph: two a layer, 32 layers
constexpr int kReplays = 9;
constexpr int kInARow = 8;               // replays of a window: launching the first ones of all ranks takes the host as long as some sums
constexpr std::uint64_t kPatience = 2'000'000'000;

// Ranks of one device with memory of their own.
class Ranks {
 public:
  Ranks(int count, std::int64_t rows) : rows_(rows), streams_(static_cast<std::size_t>(count)), fault_(sizeof(kc::PeerFault)) {
    *fault_.as<kc::PeerFault>() = {};
    const std::size_t bytes = static_cast<std::size_t>(rows * kWidth) * sizeof(Number);
    for (int r = 0; r < count; ++r) {
      residual_.emplace_back(bytes);
      for (std::vector<DeviceBuffer>& partial : partial_) partial.emplace_back(bytes);
      words_.emplace_back(kernels::kPeerWords * sizeof(std::uint32_t));
      epochs_.emplace_back(kernels::kMostPeerBlocks * sizeof(std::uint32_t));
    }
  }

  // Median over replays of one sum, all ranks at once.
  [[nodiscard]] double seconds(kernels::PeerShots shots, bool meeting) {
    std::vector<cudaGraphExec_t> graphs;
    for (int r = 0; r < count(); ++r) graphs.push_back(captured(r, shots, meeting));
    std::vector<double> times;
    for (int replay = 0; replay <= kReplays; ++replay) {
      const Event begin(true), end(true);
      std::vector<Event> ends;
      begin.record(streams_.front());
      for (const Stream& stream : streams_) check(cudaStreamWaitEvent(stream.get(), begin.get(), 0), "waiting for the start");
      for (int i = 0; i < kInARow; ++i) {
        for (std::size_t r = 0; r < streams_.size(); ++r) check(cudaGraphLaunch(graphs[r], streams_[r].get()), "replay");
      }
      for (const Stream& stream : streams_) {
        ends.emplace_back(false);
        ends.back().record(stream);
      }
      for (const Event& rank_end : ends) check(cudaStreamWaitEvent(streams_.front().get(), rank_end.get(), 0), "waiting for the end");
      end.record(streams_.front());
      streams_.front().synchronise("sums");
      float ms = 0.0F;
      check(cudaEventElapsedTime(&ms, begin.get(), end.get()), "timing");
      if (replay > 0) times.push_back(static_cast<double>(ms) * 1e-3 / (kSums * kInARow));
    }
    for (cudaGraphExec_t graph : graphs) (void)cudaGraphExecDestroy(graph);
    if (const std::uint32_t missing = fault_.as<kc::PeerFault>()->missing; missing != 0) {
      throw Error(ErrorKind::kEnvironment, "all-reduce", "rank " + std::to_string(missing - 1) + " did not come");
    }
    std::nth_element(times.begin(), times.begin() + kReplays / 2, times.end());
    return times[kReplays / 2];
  }

 private:
  [[nodiscard]] int count() const { return static_cast<int>(streams_.size()); }

  [[nodiscard]] kc::PeerSum sum_of(int rank, kernels::PeerShots shots, std::size_t parity) const {
    kc::PeerSum sum;
    sum.plan = {shots, kernels::peer_blocks(shots, count(), rows_, kc::multiprocessors(), count()), count(), rank, rows_};
    for (std::size_t r = 0; r < streams_.size(); ++r) {
      sum.sum.partial[r] = partial_[parity][r].as<Number>();
      sum.residual[r] = residual_[r].as<Number>();
      sum.words[r] = words_[r].as<std::uint32_t>();
    }
    const auto self = static_cast<std::size_t>(rank);
    sum.sum.residual = residual_[self].as<Number>();
    sum.sum.ranks = count();
    sum.sum.rows = rows_;
    sum.sum.width = kWidth;
    sum.epochs = epochs_[self].as<std::uint32_t>();
    sum.fault = fault_.as<kc::PeerFault>();
    sum.patience_ns = kPatience;
    return sum;
  }

  [[nodiscard]] cudaGraphExec_t captured(int rank, kernels::PeerShots shots, bool meeting) {
    const Stream& stream = streams_[static_cast<std::size_t>(rank)];
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    check(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeThreadLocal), "capture");
    for (int i = 0; i < kSums; ++i) {
      const kc::PeerSum sum = sum_of(rank, shots, static_cast<std::size_t>(i % 2));
      if (meeting) {
        kc::all_reduce_peer(sum, {stream.get(), true});
      } else {
        kc::add_partials(sum.sum, {stream.get(), true});
      }
    }
    check(cudaStreamEndCapture(stream.get(), &graph), "capture");
    check(cudaGraphInstantiate(&executable, graph, 0), "instantiation");
    (void)cudaGraphDestroy(graph);
    check(cudaGraphUpload(executable, stream.get()), "upload");
    stream.synchronise("upload");
    return executable;
  }

  std::int64_t rows_;
  std::deque<Stream> streams_;
  PinnedBuffer fault_;
  std::vector<DeviceBuffer> residual_, partial_[2], words_, epochs_;
};

}  // namespace

Json time_meetings() {
  Json list = Json::array();
  for (const int count : {2, 4, 8}) {
    for (const std::int64_t rows : {1, 2, 16, 128, 512}) {
      Ranks ranks(count, rows);
      const std::int64_t bytes = rows * kWidth * static_cast<std::int64_t>(sizeof(Number));
      const double alone = ranks.seconds(kernels::PeerShots::kOne, false);
      const double one = ranks.seconds(kernels::PeerShots::kOne, true);
      const double two = ranks.seconds(kernels::PeerShots::kTwo, true);
      fmt::print("all-reduce {} ranks of one GPU {:>4} KB: one shot {:7.2f} us, two {:7.2f}; without meetings {:7.2f}\n", count, bytes / 1024,
                 one * 1e6, two * 1e6, alone * 1e6);
      list.push_back({{"ranks", count}, {"bytes", bytes}, {"one_shot_s", one}, {"two_shots_s", two}, {"without_meetings_s", alone}});
    }
  }
  return list;
}

}  // namespace lindos::bench
