// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/all_reduce.h"

#include <algorithm>

#include "kernels/cuda/common.cuh"
#include "kernels/cuda/device_limits.h"
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/reduce.cuh"

namespace lindos::kernels::cuda {

namespace {

constexpr int kThreads = 512;
constexpr int kHeld = 4;               // vectors of 8 that a thread keeps of a row: up to 16,384 wide
constexpr int kLooksPerGlance = 64;    // at the host's word, across the bus

// Of another GPU, or of this one: the first store or load orders all of the block's others around it.
__device__ __forceinline__ void store_release(std::uint32_t* word, std::uint32_t value) {
  asm volatile("st.release.sys.global.u32 [%0], %1;" ::"l"(word), "r"(value) : "memory");
}
__device__ __forceinline__ std::uint32_t load_acquire(const std::uint32_t* word) {
  std::uint32_t value;
  asm volatile("ld.acquire.sys.global.u32 %0, [%1];" : "=r"(value) : "l"(word) : "memory");
  return value;
}
__device__ __forceinline__ std::uint32_t load_host(const std::uint32_t* word) {
  return *const_cast<const volatile std::uint32_t*>(word);
}
__device__ __forceinline__ std::uint64_t now_ns() {
  std::uint64_t time;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(time));
  return time;
}

// A row by all threads of a block.
template <Element kElement>
class Rows {
 public:
  __device__ explicit Rows(const PartialSum& sum) : sum_(sum), vectors_(sum.width / 8) {}

  // Eight places of row i, summed and rounded. The ranks' vectors are all on their way before the first is added.
  [[nodiscard]] __device__ uint4 summed(std::int64_t i, std::int64_t at) const {
    const std::int64_t place = i * vectors_ + at;
    uint4 of_rank[kMostPeers];
#pragma unroll
    for (int r = 0; r < kMostPeers; ++r) {
      if (r < sum_.ranks) of_rank[r] = __ldcg(reinterpret_cast<const uint4*>(sum_.partial[r]) + place);
    }
    float total[8] = {};
#pragma unroll
    for (int r = 0; r < kMostPeers; ++r) {
      if (r < sum_.ranks) add_eight<kElement>(total, of_rank[r]);
    }
    if (sum_.bias != nullptr) add_eight<kElement>(total, reinterpret_cast<const uint4*>(sum_.bias)[at]);
    add_eight<kElement>(total, reinterpret_cast<const uint4*>(sum_.residual)[place]);
    return pack_eight<kElement>(total);
  }

  // Writes what `value(at)` gives for the row to `out(at, value)`, then its norm if one follows.
  template <class Value, class Out>
  __device__ void write(std::int64_t i, Value&& value, Out&& out) const {
    uint4 held[kHeld];
    float squares = 0.0F;
#pragma unroll
    for (int j = 0; j < kHeld; ++j) {
      const std::int64_t at = threadIdx.x + j * kThreads;
      if (at < vectors_) {
        held[j] = value(at);
        out(at, held[j]);
        add_squares<kElement>(squares, held[j]);
      }
    }
    for (std::int64_t at = threadIdx.x + kHeld * kThreads; at < vectors_; at += kThreads) {
      const uint4 v = value(at);
      out(at, v);
      add_squares<kElement>(squares, v);
    }
    if (sum_.norm.weight == nullptr) return;
    const float scale = rsqrtf(sum_over_block<kThreads>(squares) / static_cast<float>(sum_.width) + sum_.norm.eps);
#pragma unroll
    for (int j = 0; j < kHeld; ++j) {
      const std::int64_t at = threadIdx.x + j * kThreads;
      if (at < vectors_) write_normed(i, at, held[j], scale);
    }
    for (std::int64_t at = threadIdx.x + kHeld * kThreads; at < vectors_; at += kThreads) {
      write_normed(i, at, residual(i, at), scale);
    }
  }

  [[nodiscard]] __device__ uint4 residual(std::int64_t i, std::int64_t at) const {
    return __ldcg(reinterpret_cast<const uint4*>(sum_.residual) + i * vectors_ + at);
  }
  __device__ void add(std::int64_t i) const {
    write(i, [&](std::int64_t at) { return summed(i, at); },
          [&](std::int64_t at, const uint4& v) { reinterpret_cast<uint4*>(sum_.residual)[i * vectors_ + at] = v; });
  }
  [[nodiscard]] __device__ std::int64_t vectors() const { return vectors_; }

 private:
  __device__ void write_normed(std::int64_t i, std::int64_t at, const uint4& v, float scale) const {
    const uint4 weight = reinterpret_cast<const uint4*>(sum_.norm.weight)[at];
    reinterpret_cast<uint4*>(sum_.norm.normed)[i * vectors_ + at] = scaled<kElement>(v, scale, weight);
  }

  const PartialSum& sum_;
  std::int64_t vectors_;
};

template <Element kElement>
__global__ void __launch_bounds__(kThreads) add_partials_kernel(const __grid_constant__ PartialSum sum) {
  wait_for_predecessor();
  const Rows<kElement> rows(sum);
  for (std::int64_t i = blockIdx.x; i < sum.rows; i += gridDim.x) rows.add(i);
  release_dependents();
}

template <Element kElement>
class PeerBlock {
 public:
  __device__ explicit PeerBlock(const PeerSum& peers) : peers_(peers), rows_(peers.sum), epoch_(peers.epochs[blockIdx.x]) {}

  // Thread r tells rank r and waits for it.
  [[nodiscard]] __device__ bool meet() {
    ++epoch_;
    __syncthreads();
    bool here = true;
    const int r = static_cast<int>(threadIdx.x);
    const int block = static_cast<int>(blockIdx.x);
    if (r < peers_.plan.ranks) {
      store_release(peers_.words[r] + peer_word(block, peers_.plan.rank), epoch_);
      here = comes(peers_.words[peers_.plan.rank] + peer_word(block, r));
      if (!here) leave_for(r);
    }
    return __syncthreads_and(here ? 1 : 0) != 0;
  }
  __device__ void add_row(std::int64_t i) const { rows_.add(i); }
  __device__ void spread_row(std::int64_t i) const {
    for (std::int64_t at = threadIdx.x; at < rows_.vectors(); at += kThreads) {
      const uint4 v = rows_.summed(i, at);
      for (int r = 0; r < peers_.plan.ranks; ++r) reinterpret_cast<uint4*>(peers_.residual[r])[i * rows_.vectors() + at] = v;
    }
  }
  __device__ void finish_row(std::int64_t i) const {
    if (peers_.sum.norm.weight == nullptr) return;
    rows_.write(i, [&](std::int64_t at) { return rows_.residual(i, at); }, [](std::int64_t, const uint4&) {});
  }
  // For the next sum.
  __device__ void keep() const {
    if (threadIdx.x == 0) peers_.epochs[blockIdx.x] = epoch_;
  }

 private:
  [[nodiscard]] __device__ bool comes(const std::uint32_t* word) const {
    const std::uint64_t begin = now_ns();
    for (int look = 1; !has_come(load_acquire(word), epoch_); ++look) {
      if (look % kLooksPerGlance != 0) continue;
      if (now_ns() - begin > peers_.patience_ns || load_host(&peers_.fault->leave) != 0) return false;
    }
    return true;
  }
  // The first name stays, and this rank's later sums do not wait again.
  __device__ void leave_for(int rank) const {
    auto* const fault = const_cast<volatile PeerFault*>(peers_.fault);
    if (fault->missing == 0) fault->missing = static_cast<std::uint32_t>(rank + 1);
    fault->leave = 1;
    __threadfence_system();
  }

  const PeerSum& peers_;
  Rows<kElement> rows_;
  std::uint32_t epoch_;
};

template <Element kElement>
__global__ void __launch_bounds__(kThreads) all_reduce_peer_kernel(const __grid_constant__ PeerSum peers) {
  wait_for_predecessor();
  PeerBlock<kElement> block(peers);
  sum_over_peers(block, peers.plan, static_cast<int>(blockIdx.x));
  block.keep();
  release_dependents();
}

}  // namespace

void add_partials(const PartialSum& sum, const Launch& launch) {
  if (sum.rows == 0) return;
  constexpr std::int64_t kBlocksPerMultiprocessor = 4;
  const auto blocks = std::min(sum.rows, kBlocksPerMultiprocessor * multiprocessors());
  with_element(sum.element, [&](auto element) {
    launch_kernel(launch, add_partials_kernel<decltype(element)::value>, dim3(static_cast<unsigned>(blocks)), dim3(kThreads), 0, sum);
  });
}

void all_reduce_peer(const PeerSum& sum, const Launch& launch) {
  with_element(sum.sum.element, [&](auto element) {
    launch_kernel(launch, all_reduce_peer_kernel<decltype(element)::value>, dim3(static_cast<unsigned>(sum.plan.blocks)), dim3(kThreads), 0,
                  sum);
  });
}

}  // namespace lindos::kernels::cuda
