// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/top_candidates.h"

#include "kernels/cuda/common.cuh"
#include "kernels/cuda/reduce.cuh"

namespace lindos::kernels::cuda {

namespace {

constexpr int kThreads = 1024;
constexpr int kWarps = kThreads / kWarp;
static_assert(kMostCandidates <= kThreads, "a thread per candidate");
constexpr int kDigits = 3;
constexpr int kAtOnce = 8;    // loads on their way per thread
constexpr int kEntries = 2048;
constexpr int kBins = 2048;   // of the widest digit: 11 bits, then 11, then 10

__device__ __forceinline__ int shift_of(int digit) { return digit == 0 ? 21 : digit == 1 ? 10 : 0; }
__device__ __forceinline__ int bins_of(int digit) { return digit == 2 ? 1024 : kBins; }

// NaN is below all (the caller has looked for it).
__device__ __forceinline__ std::uint32_t key_of(float value) { return isnan(value) ? 0 : ordered(value); }

// Larger is better: the key, then the lower id.
__device__ __forceinline__ unsigned long long entry_of(std::uint32_t key, int id) {
  return static_cast<unsigned long long>(key) << 32U | static_cast<std::uint32_t>(~id);
}

// values(key, i) for the whole row; loads of several values are on their way at once.
template <class F>
__device__ __forceinline__ void for_keys(const float* row, int n, F&& values) {
  for (int begin = threadIdx.x; begin < n; begin += kAtOnce * kThreads) {
    float v[kAtOnce];
#pragma unroll
    for (int j = 0; j < kAtOnce; ++j) v[j] = begin + j * kThreads < n ? __ldg(row + begin + j * kThreads) : 0.0F;
#pragma unroll
    for (int j = 0; j < kAtOnce; ++j) {
      if (begin + j * kThreads < n) values(key_of(v[j]), begin + j * kThreads);
    }
  }
}

// Bitonic, largest first. `size`: a power of two, at most 2 · kThreads.
template <class T>
__device__ __forceinline__ void sort_descending(T* values, int size) {
  for (int run = 2; run <= size; run *= 2) {
    for (int stride = run / 2; stride > 0; stride /= 2) {
      __syncthreads();
      const int t = static_cast<int>(threadIdx.x);
      if (t < size / 2) {
        const int low = 2 * t - (t & (stride - 1));
        const T a = values[low];
        const T b = values[low + stride];
        const bool descending = (low & run) == 0;
        if (descending ? a < b : a > b) {
          values[low] = b;
          values[low + stride] = a;
        }
      }
    }
  }
  __syncthreads();
}

struct Shared {
  unsigned long long entries[kEntries];
  int histogram[kBins];
  std::uint32_t chosen;
  int left, taken, of_warp[kWarps];
};

// The `count` best by selection of the `count`-th key, digit by digit: for rows with too many candidates for the short way.
__device__ __forceinline__ void select_by_digits(const float* row, int n, int count, Shared& shared) {
  const int lane = threadIdx.x % kWarp;
  const int warp = threadIdx.x / kWarp;
  std::uint32_t prefix = 0;
  std::uint32_t known = 0;   // bits of it
  if (threadIdx.x == 0) shared.left = count;
  for (int digit = 0; digit < kDigits; ++digit) {
    const int shift = shift_of(digit);
    const int bins = bins_of(digit);
    for (int b = threadIdx.x; b < bins; b += kThreads) shared.histogram[b] = 0;
    __syncthreads();
    for_keys(row, n, [&](std::uint32_t key, int) {
      if ((key & known) == prefix) atomicAdd(shared.histogram + (key >> shift & static_cast<std::uint32_t>(bins - 1)), 1);
    });
    __syncthreads();
    if (warp == 0) {
      // Lane 0 has the highest bins.
      const int per_lane = bins / kWarp;
      const int high = bins - 1 - lane * per_lane;
      int own = 0;
      for (int b = 0; b < per_lane; ++b) own += shared.histogram[high - b];
      int before = running_sum_over_warp(own) - own;
      const int wanted = shared.left;
      __syncwarp();
      if (before < wanted && wanted <= before + own) {
        int b = high;
        while (before + shared.histogram[b] < wanted) before += shared.histogram[b--];
        shared.chosen = static_cast<std::uint32_t>(b);
        shared.left = wanted - before;
      }
    }
    __syncthreads();
    prefix |= shared.chosen << shift;
    known |= static_cast<std::uint32_t>(bins - 1) << shift;
    __syncthreads();
  }
  const int ties = shared.left;   // of the keys equal to `prefix`, the first so many
  if (threadIdx.x == 0) shared.taken = 0;
  for (int i = threadIdx.x; i < kEntries; i += kThreads) shared.entries[i] = 0;
  __syncthreads();
  int tied = 0;
  for (int begin = 0; begin < n; begin += kThreads) {
    const int i = begin + static_cast<int>(threadIdx.x);
    const std::uint32_t key = i < n ? key_of(__ldg(row + i)) : 0;
    if (i < n && key > prefix) shared.entries[ties + atomicAdd(&shared.taken, 1)] = entry_of(key, i);
    if (tied < ties) {
      const bool equal = i < n && key == prefix;
      const unsigned mask = __ballot_sync(0xffffffffU, equal);
      if (lane == 0) shared.of_warp[warp] = __popc(mask);
      __syncthreads();
      int place = tied;
      int all = 0;
      for (int w = 0; w < kWarps; ++w) {
        if (w < warp) place += shared.of_warp[w];
        all += shared.of_warp[w];
      }
      place += __popc(mask & ((1U << lane) - 1U));
      if (equal && place < ties) shared.entries[place] = entry_of(key, i);
      tied += all;
      __syncthreads();
    }
  }
  __syncthreads();
}

__global__ void __launch_bounds__(kThreads) top_candidates_kernel(const float* logits, int n, std::int32_t first_id, int count, Best* out) {
  __shared__ Shared shared;
  wait_for_predecessor();
  const float* row = logits + static_cast<std::int64_t>(blockIdx.x) * n;

  // The short way: `count` threads have seen a value at least as large as the `count`-th largest of the threads' maxima, so
  // the answer lies among the values that are not below it, and these are few.
  auto* maxima = reinterpret_cast<std::uint32_t*>(shared.entries);
  std::uint32_t most = 0;
  for_keys(row, n, [&](std::uint32_t key, int) { most = max(most, key); });
  maxima[threadIdx.x] = most;
  sort_descending(maxima, kThreads);
  const std::uint32_t bound = maxima[count - 1];
  __syncthreads();
  if (threadIdx.x == 0) shared.taken = 0;
  __syncthreads();
  for_keys(row, n, [&](std::uint32_t key, int i) {
    if (key < bound) return;
    const int place = atomicAdd(&shared.taken, 1);
    if (place < kEntries) shared.entries[place] = entry_of(key, i);
  });
  __syncthreads();
  int size = shared.taken;
  __syncthreads();
  if (size > kEntries) {
    select_by_digits(row, n, count, shared);
    size = count;
  }
  int power = 2;
  while (power < size) power *= 2;
  for (int i = size + static_cast<int>(threadIdx.x); i < power; i += kThreads) shared.entries[i] = 0;
  sort_descending(shared.entries, power);
  if (static_cast<int>(threadIdx.x) < count) {
    const unsigned long long entry = shared.entries[threadIdx.x];
    const auto id = static_cast<std::int32_t>(~static_cast<std::uint32_t>(entry));
    out[static_cast<std::int64_t>(blockIdx.x) * count + threadIdx.x] = {unordered(static_cast<std::uint32_t>(entry >> 32U)), first_id + id};
  }
  release_dependents();
}

}  // namespace

void top_candidates(const float* logits, std::int64_t rows, std::int64_t n, std::int32_t first_id, int count, Best* out,
                    const Launch& launch) {
  if (rows == 0) return;
  launch_kernel(launch, top_candidates_kernel, dim3(static_cast<unsigned>(rows)), dim3(kThreads), 0, logits, static_cast<int>(n), first_id,
                count, out);
}

}  // namespace lindos::kernels::cuda
