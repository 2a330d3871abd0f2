// SPDX-License-Identifier: Apache-2.0
// Decode attention: one block per (part of the context, KV head, sequence).
#include <algorithm>

#include "kernels/cuda/attention_decode_part.cuh"

namespace lindos::kernels::cuda {

namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarp;
constexpr int kStages = 3;

template <int kDim>
__global__ void __launch_bounds__(kThreads) decode_kernel(const DecodeAttention a) {
  extern __shared__ __align__(128) unsigned char shared[];
  decode_part<kDim, kWarps, kStages, true>(a, blockIdx.x, blockIdx.y, blockIdx.z, shared);
}

template <int kDim>
void launch_decode(const DecodeAttention& a, const Launch& launch) {
  static const bool raised = [] {
    (void)cudaFuncSetAttribute(decode_kernel<kDim>, cudaFuncAttributeMaxDynamicSharedMemorySize, decode_shared_bytes<kDim>(kWarps, kStages));
    return true;
  }();
  (void)raised;
  launch_kernel(launch, decode_kernel<kDim>,
                dim3(static_cast<unsigned>(a.splits), static_cast<unsigned>(a.kv.kv_heads), static_cast<unsigned>(a.sequences)),
                dim3(kThreads), decode_shared_bytes<kDim>(kWarps, kStages), a);
}

}  // namespace

int decode_splits(int multiprocessors, int sequences, int kv_heads) {
  constexpr int kBlocksPerSm = 2;
  return std::clamp(kBlocksPerSm * multiprocessors / std::max(1, sequences * kv_heads), 1, kMostSplits);
}

std::size_t decode_partial_floats(int sequences, int kv_heads, int splits, int head_dim) {
  return static_cast<std::size_t>(sequences) * static_cast<std::size_t>(kv_heads) * static_cast<std::size_t>(splits) * kRows *
         static_cast<std::size_t>(head_dim + 2);
}

void attention_decode(const DecodeAttention& attention, const Launch& launch) {
  if (attention.sequences == 0 || attention.heads.q_heads == 0) return;
  if (attention.kv.head_dim == 64) {
    launch_decode<64>(attention, launch);
  } else {
    launch_decode<128>(attention, launch);
  }
}

}  // namespace lindos::kernels::cuda
