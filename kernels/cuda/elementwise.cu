// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/elementwise.h"

#include <algorithm>

#include "kernels/cuda/common.cuh"
#include "kernels/cuda/device_limits.h"
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/reduce.cuh"

namespace lindos::kernels::cuda {

namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads) embedding_kernel(const Number* table, const int* ids, std::int64_t width, Number* out) {
  wait_for_predecessor();
  const auto* source = reinterpret_cast<const uint4*>(table + static_cast<std::int64_t>(ids[blockIdx.x]) * width);
  auto* destination = reinterpret_cast<uint4*>(out + blockIdx.x * width);
  for (std::int64_t i = threadIdx.x; i < width / 8; i += kThreads) destination[i] = source[i];
  release_dependents();
}

template <Element kElement>
__global__ void __launch_bounds__(kThreads) rmsnorm_kernel(const Number* x, const int* source_rows, const Number* weight, float eps,
                                                          std::int64_t width, Number* y) {
  wait_for_predecessor();
  const std::int64_t row = source_rows == nullptr ? blockIdx.x : source_rows[blockIdx.x];
  const auto* source = reinterpret_cast<const uint4*>(x + row * width);
  const auto* weights = reinterpret_cast<const uint4*>(weight);
  auto* destination = reinterpret_cast<uint4*>(y + blockIdx.x * width);
  const std::int64_t vectors = width / 8;
  // Up to 4 vectors per thread (a width of 8,192) stay in registers between the two passes.
  constexpr int kHeld = 4;
  uint4 held[kHeld];
  float squares = 0.0F;
#pragma unroll
  for (int j = 0; j < kHeld; ++j) {
    const std::int64_t i = threadIdx.x + j * kThreads;
    if (i < vectors) {
      held[j] = source[i];
      add_squares<kElement>(squares, held[j]);
    }
  }
  for (std::int64_t i = threadIdx.x + kHeld * kThreads; i < vectors; i += kThreads) add_squares<kElement>(squares, source[i]);
  const float scale = rsqrtf(sum_over_block<kThreads>(squares) / static_cast<float>(width) + eps);
#pragma unroll
  for (int j = 0; j < kHeld; ++j) {
    const std::int64_t i = threadIdx.x + j * kThreads;
    if (i < vectors) destination[i] = scaled<kElement>(held[j], scale, weights[i]);
  }
  for (std::int64_t i = threadIdx.x + kHeld * kThreads; i < vectors; i += kThreads) {
    destination[i] = scaled<kElement>(source[i], scale, weights[i]);
  }
  release_dependents();
}

template <Element kElement>
__global__ void __launch_bounds__(kThreads) swiglu_kernel(const Number* gate_up, std::int64_t rows, std::int64_t f, Number* out) {
  wait_for_predecessor();
  const std::int64_t per_row = f / 8;
  const std::int64_t total = rows * per_row;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < total;
       i += static_cast<std::int64_t>(gridDim.x) * kThreads) {
    const std::int64_t row = i / per_row;
    const std::int64_t at = i % per_row;
    const auto* source = reinterpret_cast<const uint4*>(gate_up + row * 2 * f);
    const uint4 gate = source[at];
    const uint4 up = source[at + per_row];
    const auto one = [](std::uint32_t a, std::uint32_t b) {
      const float2 g = unpack<kElement>(a);
      const float2 u = unpack<kElement>(b);
      return pack<kElement>(silu(g.x) * u.x, silu(g.y) * u.y);
    };
    reinterpret_cast<uint4*>(out)[i] = {one(gate.x, up.x), one(gate.y, up.y), one(gate.z, up.z), one(gate.w, up.w)};
  }
  release_dependents();
}

template <Element kElement>
__global__ void __launch_bounds__(kThreads) bias_add_kernel(Number* y, const Number* bias, std::int64_t rows, std::int64_t width) {
  wait_for_predecessor();
  const std::int64_t per_row = width / 8;
  const std::int64_t total = rows * per_row;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < total;
       i += static_cast<std::int64_t>(gridDim.x) * kThreads) {
    float sum[8] = {};
    add_eight<kElement>(sum, reinterpret_cast<const uint4*>(bias)[i % per_row]);
    add_eight<kElement>(sum, reinterpret_cast<const uint4*>(y)[i]);
    reinterpret_cast<uint4*>(y)[i] = pack_eight<kElement>(sum);
  }
  release_dependents();
}

// SplitMix64's finaliser, as in exec/checkpoint/synthetic.cpp.
__device__ __forceinline__ std::uint64_t mix(std::uint64_t z) {
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31U);
}

template <Element kElement>
__global__ void __launch_bounds__(kThreads) fill_synthetic_kernel(Number* out, std::uint64_t key, float scale, std::int64_t row_begin,
                                                                  std::int64_t rows, std::int64_t row_length,
                                                                  std::int64_t col_begin, std::int64_t cols) {
  constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15U;
  const std::int64_t total = rows * cols;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < total;
       i += static_cast<std::int64_t>(gridDim.x) * kThreads) {
    const std::int64_t element = (row_begin + i / cols) * row_length + col_begin + i % cols;
    const std::uint64_t bits = mix(key + static_cast<std::uint64_t>(element) * kGolden);
    const int sum = static_cast<int>((bits & 0xffffU) + ((bits >> 16U) & 0xffffU) + ((bits >> 32U) & 0xffffU) + (bits >> 48U));
    out[i] = narrow<kElement>(__fmul_rn(static_cast<float>(sum - 2 * 65535), scale));
  }
}

__device__ __forceinline__ bool better(float value, int id, float than, int than_id) {
  return value > than || (value == than && id < than_id);
}

// Best of a block's values; thread 0 gets it.
__device__ __forceinline__ Best best_of_block(float value, int id) {
  __shared__ float values[kThreads / kWarp];
  __shared__ int ids[kThreads / kWarp];
  const auto reduce = [&](int from) {
    for (int offset = from; offset > 0; offset /= 2) {
      const float other = __shfl_down_sync(0xffffffffU, value, offset);
      const int other_id = __shfl_down_sync(0xffffffffU, id, offset);
      if (better(other, other_id, value, id)) {
        value = other;
        id = other_id;
      }
    }
  };
  reduce(kWarp / 2);
  if (threadIdx.x % kWarp == 0) {
    values[threadIdx.x / kWarp] = value;
    ids[threadIdx.x / kWarp] = id;
  }
  __syncthreads();
  if (threadIdx.x < kWarp) {
    value = threadIdx.x < kThreads / kWarp ? values[threadIdx.x] : -INFINITY;
    id = threadIdx.x < kThreads / kWarp ? ids[threadIdx.x] : 0x7fffffff;
    reduce(kThreads / kWarp / 2);
  }
  __syncthreads();
  return {value, id};
}

__global__ void __launch_bounds__(kThreads) argmax_kernel(const float* logits, std::int64_t n, std::int32_t first_id, Best* out,
                                                          unsigned* tickets, Best* parts) {
  __shared__ bool is_last;
  wait_for_predecessor();
  const std::int64_t row = blockIdx.y;
  const float* values = logits + row * n;
  const std::int64_t begin = n * blockIdx.x / kArgmaxParts;
  const std::int64_t end = n * (blockIdx.x + 1) / kArgmaxParts;
  float value = -INFINITY;
  int id = 0x7fffffff;
  // A NaN is kept: the host names it, where a comparison would silently pass it over.
  bool broken = false;
  for (std::int64_t i = begin + threadIdx.x; i < end; i += kThreads) {
    const float v = values[i];
    broken |= isnan(v);
    if (better(v, static_cast<int>(i), value, id)) {
      value = v;
      id = static_cast<int>(i);
    }
  }
  broken = __syncthreads_or(broken);
  Best best = best_of_block(value, id);
  if (threadIdx.x == 0) {
    if (broken) best.logit = NAN;
    parts[row * kArgmaxParts + blockIdx.x] = best;
    __threadfence();
    is_last = atomicAdd(tickets + row, 1U) == kArgmaxParts - 1;
  }
  __syncthreads();
  if (is_last && threadIdx.x == 0) {
    __threadfence();
    Best result{-INFINITY, 0x7fffffff};
    bool nan = false;
    for (int p = 0; p < kArgmaxParts; ++p) {
      const auto* part = reinterpret_cast<const int2*>(parts + row * kArgmaxParts + p);
      const int2 bits = __ldcg(part);
      const Best candidate{__int_as_float(bits.x), bits.y};
      nan |= isnan(candidate.logit);
      if (better(candidate.logit, candidate.id, result.logit, result.id)) result = candidate;
    }
    out[row] = {nan ? NAN : result.logit, result.id + first_id};
    tickets[row] = 0;
  }
  release_dependents();
}

__global__ void __launch_bounds__(512) stream_read_kernel(const uint4* data, std::size_t vectors, std::uint32_t* sink) {
  constexpr int kUnroll = 8;
  std::uint32_t all = 0;
  const std::size_t stride = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  std::size_t i = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  for (; i + (kUnroll - 1) * stride < vectors; i += kUnroll * stride) {
    uint4 v[kUnroll];
#pragma unroll
    for (int j = 0; j < kUnroll; ++j) v[j] = __ldcs(data + i + j * stride);
#pragma unroll
    for (int j = 0; j < kUnroll; ++j) all ^= v[j].x ^ v[j].y ^ v[j].z ^ v[j].w;
  }
  for (; i < vectors; i += stride) {
    const uint4 v = __ldcs(data + i);
    all ^= v.x ^ v.y ^ v.z ^ v.w;
  }
  // Never true for random data, but the compiler cannot know.
  if (all == 0x9e3779b9U) *sink = all;
}

unsigned blocks_for(std::int64_t items) {
  const std::int64_t enough = static_cast<std::int64_t>(multiprocessors()) * 16;
  return static_cast<unsigned>(std::max<std::int64_t>(1, std::min((items + kThreads - 1) / kThreads, enough)));
}

}  // namespace

void embedding(const Number* table, const int* ids, std::int64_t rows, std::int64_t width, Number* out, const Launch& launch) {
  if (rows == 0) return;
  launch_kernel(launch, embedding_kernel, dim3(static_cast<unsigned>(rows)), dim3(kThreads), 0, table, ids, width, out);
}

void rmsnorm(Element element, const Number* x, const int* source_rows, const Number* weight, float eps, std::int64_t rows,
             std::int64_t width, Number* y, const Launch& launch) {
  if (rows == 0) return;
  with_element(element, [&](auto e) {
    launch_kernel(launch, rmsnorm_kernel<decltype(e)::value>, dim3(static_cast<unsigned>(rows)), dim3(kThreads), 0, x, source_rows,
                  weight, eps, width, y);
  });
}

void swiglu(Element element, const Number* gate_up, std::int64_t rows, std::int64_t f, Number* out, const Launch& launch) {
  if (rows * f == 0) return;
  with_element(element, [&](auto e) {
    launch_kernel(launch, swiglu_kernel<decltype(e)::value>, dim3(blocks_for(rows * f / 8)), dim3(kThreads), 0, gate_up, rows, f, out);
  });
}

void bias_add(Element element, Number* y, const Number* bias, std::int64_t rows, std::int64_t width, const Launch& launch) {
  if (rows * width == 0) return;
  with_element(element, [&](auto e) {
    launch_kernel(launch, bias_add_kernel<decltype(e)::value>, dim3(blocks_for(rows * width / 8)), dim3(kThreads), 0, y, bias, rows, width);
  });
}

void fill_synthetic(Element element, Number* out, std::uint64_t key, float scale, std::int64_t row_begin, std::int64_t rows,
                    std::int64_t row_length, std::int64_t col_begin, std::int64_t cols, const Launch& launch) {
  if (rows * cols == 0) return;
  with_element(element, [&](auto e) {
    launch_kernel(launch, fill_synthetic_kernel<decltype(e)::value>, dim3(blocks_for(rows * cols)), dim3(kThreads), 0, out, key, scale,
                  row_begin, rows, row_length, col_begin, cols);
  });
}

void argmax(const float* logits, std::int64_t rows, std::int64_t n, std::int32_t first_id, Best* out,
            const ArgmaxScratch& scratch, const Launch& launch) {
  if (rows == 0) return;
  launch_kernel(launch, argmax_kernel, dim3(kArgmaxParts, static_cast<unsigned>(rows)), dim3(kThreads), 0, logits, n, first_id,
                out, scratch.tickets, scratch.parts);
}

void stream_read(const void* data, std::size_t bytes, std::uint32_t* sink, const Launch& launch) {
  const int blocks = multiprocessors() * 4;
  launch_kernel(launch, stream_read_kernel, dim3(static_cast<unsigned>(blocks)), dim3(512), 0,
                static_cast<const uint4*>(data), bytes / 16, sink);
}

}  // namespace lindos::kernels::cuda
