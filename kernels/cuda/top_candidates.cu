// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/top_candidates.h"

#include "kernels/cuda/common.cuh"

namespace lindos::kernels::cuda {

namespace {

constexpr int kThreads = 1024;
constexpr int kWarps = kThreads / kWarp;
static_assert(kMostCandidates <= kThreads, "a thread per candidate");
constexpr int kDigits = 3;
constexpr int kAtOnce = 8;    // loads on their way per thread
constexpr int kBins = 2048;   // of the widest digit: 11 bits, then 11, then 10

__device__ __forceinline__ int shift_of(int digit) { return digit == 0 ? 21 : digit == 1 ? 10 : 0; }
__device__ __forceinline__ int bins_of(int digit) { return digit == 2 ? 1024 : kBins; }

// Integers in the order of the floats; both zeros are one, NaN is below all (the caller has looked for it).
__device__ __forceinline__ std::uint32_t key_of(float value) {
  if (isnan(value)) return 0;
  const std::uint32_t bits = __float_as_uint(value + 0.0F);
  return (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
}
__device__ __forceinline__ float value_of(std::uint32_t key) {
  return __uint_as_float((key & 0x80000000U) != 0 ? key & 0x7fffffffU : ~key);
}

__global__ void __launch_bounds__(kThreads) top_candidates_kernel(const float* logits, int n, std::int32_t first_id, int count, Best* out) {
  __shared__ int histogram[kBins];
  __shared__ unsigned long long entries[kThreads];   // key, then the complement of the id: larger is better
  __shared__ std::uint32_t chosen;
  __shared__ int left, taken, of_warp[kWarps];
  wait_for_predecessor();
  const float* row = logits + static_cast<std::int64_t>(blockIdx.x) * n;
  const int lane = threadIdx.x % kWarp;
  const int warp = threadIdx.x / kWarp;

  // The `count`-th largest key, digit by digit from the highest.
  std::uint32_t prefix = 0;
  std::uint32_t known = 0;   // bits of it
  if (threadIdx.x == 0) left = count;
  for (int digit = 0; digit < kDigits; ++digit) {
    const int shift = shift_of(digit);
    const int bins = bins_of(digit);
    for (int b = threadIdx.x; b < bins; b += kThreads) histogram[b] = 0;
    __syncthreads();
    for (int begin = threadIdx.x; begin < n; begin += kAtOnce * kThreads) {
      float values[kAtOnce];
#pragma unroll
      for (int j = 0; j < kAtOnce; ++j) values[j] = begin + j * kThreads < n ? __ldg(row + begin + j * kThreads) : 0.0F;
#pragma unroll
      for (int j = 0; j < kAtOnce; ++j) {
        const std::uint32_t key = key_of(values[j]);
        if (begin + j * kThreads < n && (key & known) == prefix) {
          atomicAdd(histogram + (key >> shift & static_cast<std::uint32_t>(bins - 1)), 1);
        }
      }
    }
    __syncthreads();
    if (warp == 0) {
      // Lane 0 has the highest bins.
      const int per_lane = bins / kWarp;
      const int high = bins - 1 - lane * per_lane;
      int own = 0;
      for (int b = 0; b < per_lane; ++b) own += histogram[high - b];
      int before = own;
#pragma unroll
      for (int offset = 1; offset < kWarp; offset *= 2) {
        const int other = __shfl_up_sync(0xffffffffU, before, offset);
        if (lane >= offset) before += other;
      }
      before -= own;
      const int wanted = left;
      __syncwarp();
      if (before < wanted && wanted <= before + own) {
        int b = high;
        while (before + histogram[b] < wanted) before += histogram[b--];
        chosen = static_cast<std::uint32_t>(b);
        left = wanted - before;
      }
    }
    __syncthreads();
    prefix |= chosen << shift;
    known |= static_cast<std::uint32_t>(bins - 1) << shift;
    __syncthreads();
  }
  const int ties = left;   // of the keys equal to `prefix`, the first so many

  if (threadIdx.x == 0) taken = 0;
  entries[threadIdx.x] = 0;
  __syncthreads();
  int tied = 0;
  float next = static_cast<int>(threadIdx.x) < n ? __ldg(row + threadIdx.x) : 0.0F;
  for (int begin = 0; begin < n; begin += kThreads) {
    const int i = begin + static_cast<int>(threadIdx.x);
    const std::uint32_t key = i < n ? key_of(next) : 0;
    if (i + kThreads < n) next = __ldg(row + i + kThreads);
    const auto entry = static_cast<unsigned long long>(key) << 32U | static_cast<std::uint32_t>(~i);
    if (i < n && key > prefix) entries[ties + atomicAdd(&taken, 1)] = entry;
    if (tied < ties) {
      const bool equal = i < n && key == prefix;
      const unsigned mask = __ballot_sync(0xffffffffU, equal);
      if (lane == 0) of_warp[warp] = __popc(mask);
      __syncthreads();
      int place = tied;
      int all = 0;
      for (int w = 0; w < kWarps; ++w) {
        if (w < warp) place += of_warp[w];
        all += of_warp[w];
      }
      place += __popc(mask & ((1U << lane) - 1U));
      if (equal && place < ties) entries[place] = entry;
      tied += all;
      __syncthreads();
    }
  }

  // Bitonic, largest first; what is beyond `count` is zero and stays last.
  for (int size = 2; size <= kThreads; size *= 2) {
    for (int stride = size / 2; stride > 0; stride /= 2) {
      __syncthreads();
      const int other = static_cast<int>(threadIdx.x) ^ stride;
      if (other > static_cast<int>(threadIdx.x)) {
        const unsigned long long a = entries[threadIdx.x];
        const unsigned long long b = entries[other];
        const bool descending = (threadIdx.x & static_cast<unsigned>(size)) == 0;
        if (descending ? a < b : a > b) {
          entries[threadIdx.x] = b;
          entries[other] = a;
        }
      }
    }
  }
  __syncthreads();
  if (static_cast<int>(threadIdx.x) < count) {
    const unsigned long long entry = entries[threadIdx.x];
    const auto id = static_cast<std::int32_t>(~static_cast<std::uint32_t>(entry));
    out[static_cast<std::int64_t>(blockIdx.x) * count + threadIdx.x] = {value_of(static_cast<std::uint32_t>(entry >> 32U)), first_id + id};
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
