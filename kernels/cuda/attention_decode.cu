// SPDX-License-Identifier: Apache-2.0
// Decode attention: one block per (part of the context, KV head, sequence). All q heads of the KV head share its keys:
// they are the rows of a 16-row tensor-core tile. Each of 4 warps takes 16 keys of a page by itself, with a private
// ring of copies in flight; states are merged over the warps at the end, over the parts by the block that ends last.
#include <algorithm>

#include "kernels/cuda/attention_parts.cuh"

namespace lindos::kernels::cuda {

namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarp;
constexpr int kKeys = kDevicePageTokens / kWarps;   // per warp and page
constexpr int kStages = 3;
constexpr int kRows = kLargestGroup;
constexpr int kLeastPages = 2;                      // per part: below, merging costs more than it saves
constexpr int kMostSplits = 64;

template <int kDim>
constexpr int kWarpStage = 2 * kKeys * kDim * 2;    // bytes, K then V
template <int kDim>
constexpr int kShared = kWarps * kStages * kWarpStage<kDim>;

// Per (sequence, KV head, split): kDim sums of each row, the maxima, the weights.
template <int kDim>
constexpr int kPartial = kRows * (kDim + 2);        // floats

template <Element kElement, int kDim>
__global__ void __launch_bounds__(kThreads) decode_kernel(const DecodeAttention a) {
  extern __shared__ __align__(128) unsigned char shared[];
  __shared__ float merged_weight[kRows];
  __shared__ float merged_max[kRows];
  __shared__ float warp_max[kWarps][kRows];
  __shared__ float warp_sum[kWarps][kRows];
  __shared__ bool is_last;
  const int split = blockIdx.x;
  const int kv_head = blockIdx.y;
  const int sequence = blockIdx.z;
  const int warp = threadIdx.x / kWarp;
  const int lane = threadIdx.x % kWarp;
  const int group = lane / 4;
  const int quarter = lane % 4;

  const int row = a.row[sequence];
  const int position = a.position[row];
  const int first_q = max(0, kv_head * a.heads.group - a.heads.q_offset);
  const int q_rows = min(a.heads.q_heads, (kv_head + 1) * a.heads.group - a.heads.q_offset) - first_q;
  Number* out = a.out + row * a.ld_out + first_q * kDim;
  if (position < 0) {
    wait_for_predecessor();
    if (split == 0) {
      for (int i = threadIdx.x; i < q_rows * kDim; i += kThreads) out[i] = narrow<kElement>(0.0F);
    }
    release_dependents();
    return;
  }
  const int first_page = a.window > 0 ? max(0, position - a.window + 1) / kDevicePageTokens : 0;
  const int pages = position / kDevicePageTokens + 1 - first_page;
  const int per_split = max(kLeastPages, (pages + a.splits - 1) / a.splits);
  const int active = (pages + per_split - 1) / per_split;
  // Nothing to do and nothing touched: no need to wait, and the SM is free for the next kernel.
  if (split >= active) return;
  const int begin = first_page + split * per_split;
  const int end = first_page + min(pages, (split + 1) * per_split);
  const bool has_new = split == active - 1;
  const int* table = a.table + sequence * a.table_stride;

  unsigned char* ring = shared + warp * kStages * kWarpStage<kDim>;
  constexpr int kChunks = kDim / 8;                  // 16-byte chunks of a row
  const auto load = [&](int page) {
    if (page < end) {
      const Number* keys = keys_of(a.kv, table[page], kv_head) + warp * kKeys * kDim;
      const Number* values = keys + values_offset(a.kv);
      unsigned char* stage = ring + (page - begin) % kStages * kWarpStage<kDim>;
#pragma unroll
      for (int i = lane; i < kKeys * kChunks; i += kWarp) {
        const int key = i / kChunks;
        const int chunk = i % kChunks;
        copy_async_16(shared_address(stage + fragment_place<kDim>(key, chunk)), keys + i * 8);
        copy_async_16(shared_address(stage + kKeys * kDim * 2 + transposed_place<kDim>(key, chunk)), values + i * 8);
      }
    }
    commit_copies();
  };
  // Pages hold the tokens of earlier steps, which do not depend on the predecessor. The new token's keys and values are
  // put into the last page's stage by hand.
#pragma unroll
  for (int i = 0; i < kStages - 1; ++i) load(begin + i);
  const Rotation<kDim> rotation(a.transform, position, lane);
  release_dependents();
  wait_for_predecessor();
  const Number* qkv = a.qkv.rows + row * a.qkv.ld;
  const bool owns_new = has_new && warp == position % kDevicePageTokens / kKeys;
  HeadPairs<kElement, kDim> new_key;
  HeadPairs<kElement, kDim> new_value;
  if (owns_new) {
    const Number* projected = qkv + (a.heads.q_heads + kv_head) * kDim;
    new_key.load(projected, lane);
    new_value.load(projected + a.kv.kv_heads * kDim, lane);
  }
  // Every warp makes the q tile for itself, in the stage that is not in use yet; 4 heads at a time, so that their loads
  // do not wait for each other.
  auto* q_tile = reinterpret_cast<Number*>(ring + (kStages - 1) * kWarpStage<kDim>);
#pragma unroll 1
  for (int r = 0; r < kRows; r += 4) {
    HeadPairs<kElement, kDim> head[4];
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      if (r + j < q_rows) head[j].load(qkv + (first_q + r + j) * kDim, lane);
    }
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      Number* destination = q_tile + (r + j) * kDim;
      if (r + j < q_rows) {
        if (a.transform.q_norm != nullptr) head[j].normalise(a.transform.q_norm, a.transform.eps, lane);
        rotation.apply(head[j]);
        head[j].each(lane, [&](int i, Number value) { destination[i] = value; });
      } else {
        for (int i = lane; i < kDim / 2; i += kWarp) reinterpret_cast<std::uint32_t*>(destination)[i] = 0;
      }
    }
  }
  if (owns_new) {
    if (a.transform.k_norm != nullptr) new_key.normalise(a.transform.k_norm, a.transform.eps, lane);
    rotation.apply(new_key);
    Number* key = keys_of(a.kv, table[position / kDevicePageTokens], kv_head) + position % kDevicePageTokens * kDim;
    Number* value = key + values_offset(a.kv);
    new_key.each(lane, [&](int i, Number v) { key[i] = v; });
    new_value.each(lane, [&](int i, Number v) { value[i] = v; });
  }
  __syncwarp();
  constexpr int kSteps = kDim / 32;
  uint4 q_low[kSteps];
  uint4 q_high[kSteps];
#pragma unroll
  for (int s = 0; s < kSteps; ++s) {
    q_low[s] = reinterpret_cast<const uint4*>(q_tile + group * kDim)[s * 4 + quarter];
    q_high[s] = reinterpret_cast<const uint4*>(q_tile + (group + 8) * kDim)[s * 4 + quarter];
  }
  __syncwarp();

  const float scale = a.scale * kLog2E;
  const int oldest = a.window > 0 ? position - a.window + 1 : 0;
  float maximum[2] = {-INFINITY, -INFINITY};
  float weight[2] = {0.0F, 0.0F};
  float sum[kDim / 8][4] = {};
  for (int page = begin; page < end; ++page) {
    load(page + kStages - 1);
    wait_for_copies<kStages - 1>();
    __syncwarp();
    unsigned char* keys = ring + (page - begin) % kStages * kWarpStage<kDim>;
    unsigned char* values = keys + kKeys * kDim * 2;
    if (owns_new && page == end - 1) {
      const int key = position % kKeys;
      new_key.each(lane, [&](int i, Number v) { *reinterpret_cast<Number*>(keys + fragment_place<kDim>(key, i / 8) + i % 8 * 2) = v; });
      new_value.each(lane, [&](int i, Number v) {
        *reinterpret_cast<Number*>(values + transposed_place<kDim>(key, i / 8) + i % 8 * 2) = v;
      });
      __syncwarp();
    }
    float score[2][4] = {};
#pragma unroll
    for (int j = 0; j < 2; ++j) {
#pragma unroll
      for (int s = 0; s < kSteps; ++s) {
        const uint4 k = *reinterpret_cast<const uint4*>(keys + fragment_place<kDim>(j * 8 + group, s * 4 + quarter));
        mma_16x8x32<kElement>(score[j], q_low[s], q_high[s], k);
      }
    }
    const int first_key = page * kDevicePageTokens + warp * kKeys + quarter * 2;
    float page_max[2] = {-INFINITY, -INFINITY};
#pragma unroll
    for (int j = 0; j < 2; ++j) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int key = first_key + j * 8 + i % 2;
        score[j][i] = key <= position && key >= oldest ? score[j][i] * scale : -INFINITY;
        page_max[i / 2] = fmaxf(page_max[i / 2], score[j][i]);
      }
    }
    float correction[2];
    float base[2];
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const float next = fmaxf(maximum[h], quad_max(page_max[h]));
      base[h] = next == -INFINITY ? 0.0F : next;
      correction[h] = exp2f(maximum[h] - base[h]);
      maximum[h] = next;
      weight[h] *= correction[h];
    }
    std::uint32_t p[4];
#pragma unroll
    for (int j = 0; j < 2; ++j) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const float x = exp2f(score[j][2 * h] - base[h]);
        const float y = exp2f(score[j][2 * h + 1] - base[h]);
        weight[h] += x + y;
        p[2 * j + h] = pack<kElement>(x, y);
      }
    }
#pragma unroll
    for (int d = 0; d < kDim / 16; ++d) {
      std::uint32_t v[4];
      load_matrix_transposed(v, shared_address(values + transposed_place<kDim>(lane % 16, d * 2 + lane / 16)));
#pragma unroll
      for (int n = 0; n < 2; ++n) {
        float(&o)[4] = sum[d * 2 + n];
        o[0] *= correction[0];
        o[1] *= correction[0];
        o[2] *= correction[1];
        o[3] *= correction[1];
        mma_16x8x16<kElement>(o, p[0], p[1], p[2], p[3], v[2 * n], v[2 * n + 1]);
      }
    }
    __syncwarp();
  }
  wait_for_copies<0>();
  weight[0] = quad_sum(weight[0]);
  weight[1] = quad_sum(weight[1]);

  // Over the warps: their sums side by side in the ring's place.
  __syncthreads();
  auto* sums = reinterpret_cast<float*>(shared);      // [warp][row][kDim]
#pragma unroll
  for (int n = 0; n < kDim / 8; ++n) {
    float* low = sums + (warp * kRows + group) * kDim + n * 8 + quarter * 2;
    low[0] = sum[n][0];
    low[1] = sum[n][1];
    low[8 * kDim] = sum[n][2];
    low[8 * kDim + 1] = sum[n][3];
  }
  if (quarter == 0) {
    warp_max[warp][group] = maximum[0];
    warp_max[warp][group + 8] = maximum[1];
    warp_sum[warp][group] = weight[0];
    warp_sum[warp][group + 8] = weight[1];
  }
  __syncthreads();
  if (threadIdx.x < kRows) {
    const int r = threadIdx.x;
    float m = -INFINITY;
    for (int w = 0; w < kWarps; ++w) m = fmaxf(m, warp_max[w][r]);
    const float b = m == -INFINITY ? 0.0F : m;
    float total = 0.0F;
    for (int w = 0; w < kWarps; ++w) {
      const float factor = exp2f(warp_max[w][r] - b);
      total += warp_sum[w][r] * factor;
      warp_max[w][r] = factor;
    }
    merged_max[r] = m;
    merged_weight[r] = total;
  }
  __syncthreads();
  const std::int64_t place = sequence * a.kv.kv_heads + kv_head;
  float* mine = a.partials + (place * a.splits + split) * kPartial<kDim>;
  for (int i = threadIdx.x; i < q_rows * kDim; i += kThreads) {
    const int r = i / kDim;
    float value = 0.0F;
    for (int w = 0; w < kWarps; ++w) value += sums[w * kRows * kDim + i] * warp_max[w][r];
    if (active == 1) {
      out[i] = narrow<kElement>(value / merged_weight[r]);
    } else {
      mine[i] = value;
    }
  }
  if (active == 1) return;
  if (threadIdx.x < q_rows) {
    mine[kRows * kDim + threadIdx.x] = merged_max[threadIdx.x];
    mine[kRows * kDim + kRows + threadIdx.x] = merged_weight[threadIdx.x];
  }
  // Over the parts: whoever draws the last ticket merges them all.
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    is_last = atomicAdd(a.tickets + place, 1U) == static_cast<unsigned>(active - 1);
    if (is_last) a.tickets[place] = 0;
  }
  __syncthreads();
  if (!is_last) return;
  __threadfence();
  const float* all = a.partials + place * a.splits * kPartial<kDim>;
  // Maxima and weights of all parts first, in one go; a warp per row then turns them into factors.
  float* factors = sums;                               // [row][kMostSplits]
  float* weights = factors + kRows * kMostSplits;
  for (int i = threadIdx.x; i < active * q_rows; i += kThreads) {
    const int s = i / q_rows;
    const int r = i % q_rows;
    const float* part = all + s * kPartial<kDim> + kRows * kDim;
    factors[r * kMostSplits + s] = __ldcg(part + r);
    weights[r * kMostSplits + s] = __ldcg(part + kRows + r);
  }
  __syncthreads();
  for (int r = warp; r < q_rows; r += kWarps) {
    float m = -INFINITY;
    for (int s = lane; s < active; s += kWarp) m = fmaxf(m, factors[r * kMostSplits + s]);
    m = reduce_over_warp(m, [](float a, float b) { return fmaxf(a, b); });
    float total = 0.0F;
    for (int s = lane; s < active; s += kWarp) {
      const float factor = exp2f(factors[r * kMostSplits + s] - m);
      total += weights[r * kMostSplits + s] * factor;
      factors[r * kMostSplits + s] = factor;
    }
    total = sum_over_warp(total);
    if (lane == 0) merged_weight[r] = total;
  }
  __syncthreads();
  for (int i = threadIdx.x; i < q_rows * kDim / 4; i += kThreads) {
    const int r = i * 4 / kDim;
    float4 value{0.0F, 0.0F, 0.0F, 0.0F};
#pragma unroll 8
    for (int s = 0; s < active; ++s) {
      const float4 part = __ldcg(reinterpret_cast<const float4*>(all + s * kPartial<kDim>) + i);
      const float factor = factors[r * kMostSplits + s];
      value.x += part.x * factor;
      value.y += part.y * factor;
      value.z += part.z * factor;
      value.w += part.w * factor;
    }
    const float inverse = 1.0F / merged_weight[r];
    reinterpret_cast<uint2*>(out)[i] = {pack<kElement>(value.x * inverse, value.y * inverse),
                                        pack<kElement>(value.z * inverse, value.w * inverse)};
  }
}

template <Element kElement, int kDim>
void launch_decode(const DecodeAttention& a, const Launch& launch) {
  static const bool raised = [] {
    (void)cudaFuncSetAttribute(decode_kernel<kElement, kDim>, cudaFuncAttributeMaxDynamicSharedMemorySize, kShared<kDim>);
    return true;
  }();
  (void)raised;
  launch_kernel(launch, decode_kernel<kElement, kDim>,
                dim3(static_cast<unsigned>(a.splits), static_cast<unsigned>(a.kv.kv_heads), static_cast<unsigned>(a.sequences)),
                dim3(kThreads), kShared<kDim>, a);
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
  with_element(attention.element, [&](auto element) {
    constexpr Element kElement = decltype(element)::value;
    if (attention.kv.head_dim == 64) {
      launch_decode<kElement, 64>(attention, launch);
    } else {
      launch_decode<kElement, 128>(attention, launch);
    }
  });
}

}  // namespace lindos::kernels::cuda
