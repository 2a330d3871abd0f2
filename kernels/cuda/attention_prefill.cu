// SPDX-License-Identifier: Apache-2.0
// Prefill attention: one block per 128 rows and q head, 4 warps of 32 rows each; pages of keys and values pass through
// a double buffer in shared memory, scores and sums stay in registers.
#include "kernels/cuda/attention_hopper.h"
#include "kernels/cuda/attention_parts.cuh"

namespace lindos::kernels::cuda {

namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarp;
constexpr int kKeys = kDevicePageTokens;
constexpr int kTileM = 2;                             // 16-row tiles per warp
constexpr int kStages = 2;

template <int kDim>
constexpr int kPage = kKeys * kDim * 2;               // bytes of K (and of V)
template <int kDim>
constexpr int kShared = kPrefillTileRows * kDim * 2 + kStages * 2 * kPage<kDim>;

template <Element kElement, int kDim>
__global__ void __launch_bounds__(kThreads, 2) prefill_kernel(const PrefillAttention a) {
  extern __shared__ __align__(128) unsigned char shared[];
  unsigned char* q_tile = shared;
  unsigned char* pages = shared + kPrefillTileRows * kDim * 2;
  const int head = blockIdx.x;
  const PrefillTile tile = a.tiles[blockIdx.y];
  const int kv_head = (head + a.heads.q_offset) / a.heads.group;
  const int warp = threadIdx.x / kWarp;
  const int lane = threadIdx.x % kWarp;
  const int group = lane / 4;
  const int quarter = lane % 4;
  const int rows = min(kPrefillTileRows, tile.slice.tokens - tile.token);
  const int first_row = tile.slice.first_row + tile.token;
  const int first_position = tile.slice.first_position + tile.token;
  const int last_position = first_position + rows - 1;
  const int begin = a.window > 0 ? max(0, first_position - a.window + 1) / kKeys : 0;
  const int end = last_position / kKeys + 1;
  const int* table = a.table + tile.slice.table * a.table_stride;
  constexpr int kChunks = kDim / 8;

  wait_for_predecessor();
  for (int i = threadIdx.x; i < kPrefillTileRows * kChunks; i += kThreads) {
    const int r = i / kChunks;
    const int chunk = i % kChunks;
    const Number* source = a.qkv.rows + static_cast<std::int64_t>(first_row + min(r, rows - 1)) * a.qkv.ld + head * kDim + chunk * 8;
    copy_async_16(shared_address(q_tile + fragment_place<kDim>(r, chunk)), source, r < rows ? 16 : 0);
  }
  const auto load = [&](int page) {
    if (page < end) {
      const Number* keys = keys_of(a.kv, table[page], kv_head);
      const Number* values = keys + values_offset(a.kv);
      unsigned char* stage = pages + (page - begin) % kStages * 2 * kPage<kDim>;
#pragma unroll
      for (int i = threadIdx.x; i < kKeys * kChunks; i += kThreads) {
        copy_async_16(shared_address(stage + fragment_place<kDim>(i / kChunks, i % kChunks)), keys + i * 8);
        copy_async_16(shared_address(stage + kPage<kDim> + transposed_place<kDim>(i / kChunks, i % kChunks)), values + i * 8);
      }
    }
    commit_copies();
  };
  load(begin);

  const float scale = a.scale * kLog2E;
  float maximum[kTileM][2];
  float weight[kTileM][2];
  float sum[kTileM][kDim / 8][4];
#pragma unroll
  for (int m = 0; m < kTileM; ++m) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      maximum[m][h] = -INFINITY;
      weight[m][h] = 0.0F;
    }
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) sum[m][n][i] = 0.0F;
    }
  }
  const int warp_position = first_position + warp * kTileM * 16;
  for (int page = begin; page < end; ++page) {
    wait_for_copies<0>();
    __syncthreads();
    load(page + 1);
    const unsigned char* keys = pages + (page - begin) % kStages * 2 * kPage<kDim>;
    const unsigned char* values = keys + kPage<kDim>;
    // A warp whose rows all lie before this page has nothing to add.
    if (page * kKeys > warp_position + kTileM * 16 - 1) continue;
    float score[kTileM][kKeys / 8][4];
#pragma unroll
    for (int m = 0; m < kTileM; ++m) {
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) score[m][n][i] = 0.0F;
      }
    }
#pragma unroll
    for (int s = 0; s < kDim / 32; ++s) {
      uint4 low[kTileM];
      uint4 high[kTileM];
#pragma unroll
      for (int m = 0; m < kTileM; ++m) {
        const int r = (warp * kTileM + m) * 16 + group;
        low[m] = *reinterpret_cast<const uint4*>(q_tile + fragment_place<kDim>(r, s * 4 + quarter));
        high[m] = *reinterpret_cast<const uint4*>(q_tile + fragment_place<kDim>(r + 8, s * 4 + quarter));
      }
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n) {
        const uint4 k = *reinterpret_cast<const uint4*>(keys + fragment_place<kDim>(n * 8 + group, s * 4 + quarter));
#pragma unroll
        for (int m = 0; m < kTileM; ++m) mma_16x8x32<kElement>(score[m][n], low[m], high[m], k);
      }
    }
    const bool masked = (page + 1) * kKeys - 1 > warp_position || a.window > 0;
    if (masked) {
#pragma unroll
      for (int m = 0; m < kTileM; ++m) {
#pragma unroll
        for (int n = 0; n < kKeys / 8; ++n) {
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            const int key = page * kKeys + n * 8 + quarter * 2 + i % 2;
            const int position = warp_position + m * 16 + group + i / 2 * 8;
            const bool seen = key <= position && (a.window == 0 || key > position - a.window);
            if (!seen) score[m][n][i] = -INFINITY;
          }
        }
      }
    }
    std::uint32_t p[kTileM][kKeys / 8][2];
#pragma unroll
    for (int m = 0; m < kTileM; ++m) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        float page_max = -INFINITY;
#pragma unroll
        for (int n = 0; n < kKeys / 8; ++n) page_max = fmaxf(page_max, fmaxf(score[m][n][2 * h], score[m][n][2 * h + 1]));
        const float next = fmaxf(maximum[m][h], quad_max(page_max));
        const float base = next == -INFINITY ? 0.0F : next * scale;
        const float correction = exp2f(maximum[m][h] * scale - base);
        maximum[m][h] = next;
        float added = 0.0F;
#pragma unroll
        for (int n = 0; n < kKeys / 8; ++n) {
          const float x = exp2f(score[m][n][2 * h] * scale - base);
          const float y = exp2f(score[m][n][2 * h + 1] * scale - base);
          added += x + y;
          p[m][n][h] = pack<kElement>(x, y);
        }
        weight[m][h] = weight[m][h] * correction + added;
#pragma unroll
        for (int n = 0; n < kDim / 8; ++n) {
          sum[m][n][2 * h] *= correction;
          sum[m][n][2 * h + 1] *= correction;
        }
      }
    }
#pragma unroll
    for (int s = 0; s < kKeys / 16; ++s) {
#pragma unroll
      for (int d = 0; d < kDim / 16; ++d) {
        std::uint32_t v[4];
        load_matrix_transposed(v, shared_address(values + transposed_place<kDim>(s * 16 + lane % 16, d * 2 + lane / 16)));
#pragma unroll
        for (int m = 0; m < kTileM; ++m) {
#pragma unroll
          for (int n = 0; n < 2; ++n) {
            mma_16x8x16<kElement>(sum[m][d * 2 + n], p[m][2 * s][0], p[m][2 * s][1], p[m][2 * s + 1][0], p[m][2 * s + 1][1],
                        v[2 * n], v[2 * n + 1]);
          }
        }
      }
    }
  }
  release_dependents();
#pragma unroll
  for (int m = 0; m < kTileM; ++m) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const float inverse = 1.0F / quad_sum(weight[m][h]);
      const int r = (warp * kTileM + m) * 16 + group + h * 8;
      if (r >= rows) continue;
      Number* out = a.out + static_cast<std::int64_t>(first_row + r) * a.ld_out + head * kDim + quarter * 2;
#pragma unroll
      for (int n = 0; n < kDim / 8; ++n) {
        *reinterpret_cast<std::uint32_t*>(out + n * 8) = pack<kElement>(sum[m][n][2 * h] * inverse, sum[m][n][2 * h + 1] * inverse);
      }
    }
  }
}

template <Element kElement, int kDim>
void launch_prefill(const PrefillAttention& a, const Launch& launch) {
  static const bool raised = [] {
    (void)cudaFuncSetAttribute(prefill_kernel<kElement, kDim>, cudaFuncAttributeMaxDynamicSharedMemorySize, kShared<kDim>);
    return true;
  }();
  (void)raised;
  launch_kernel(launch, prefill_kernel<kElement, kDim>, dim3(static_cast<unsigned>(a.heads.q_heads), static_cast<unsigned>(a.count)),
                dim3(kThreads), kShared<kDim>, a);
}

constexpr int kRopeWarps = 8;

// One block per row, a warp per head in turn.
template <Element kElement, int kDim>
__global__ void __launch_bounds__(kRopeWarps* kWarp) rope_kv_write_kernel(const RopeKvWrite w) {
  wait_for_predecessor();
  const int row = w.rows == nullptr ? static_cast<int>(blockIdx.x) : w.rows[blockIdx.x];
  const int position = w.position[row];
  const int lane = threadIdx.x % kWarp;
  if (position >= 0) {
    const int block = w.table[w.row_table[row] * w.table_stride + position / kDevicePageTokens];
    Number* heads = w.qkv.rows + static_cast<std::int64_t>(row) * w.qkv.ld;
    const int all = w.heads.q_heads + 2 * w.kv.kv_heads;
    const Rotation<kDim> rotation(w.transform, position, lane);
    const auto transform = [&](const Number* source, Number* destination, const Number* norm) {
      HeadPairs<kElement, kDim> head;
      head.load(source, lane);
      if (norm != nullptr) head.normalise(norm, w.transform.eps, lane);
      rotation.apply(head);
      head.each(lane, [&](int i, Number value) { destination[i] = value; });
    };
    for (int h = threadIdx.x / kWarp; h < all; h += kRopeWarps) {
      Number* source = heads + h * kDim;
      if (h < w.heads.q_heads) {
        transform(source, source, w.transform.q_norm);
        continue;
      }
      const int kv = (h - w.heads.q_heads) % w.kv.kv_heads;
      Number* place = keys_of(w.kv, block, kv) + position % kDevicePageTokens * kDim;
      if (h < w.heads.q_heads + w.kv.kv_heads) {
        transform(source, place, w.transform.k_norm);
      } else {
        Number* value = place + values_offset(w.kv);
        for (int i = lane; i < kDim / 2; i += kWarp) {
          reinterpret_cast<std::uint32_t*>(value)[i] = reinterpret_cast<const std::uint32_t*>(source)[i];
        }
      }
    }
  }
  release_dependents();
}

}  // namespace

void attention_prefill(const PrefillAttention& attention, const Launch& launch) {
  if (attention.count == 0 || attention.heads.q_heads == 0) return;
  if (!attention.portable && hopper_prefill(attention, launch)) return;
  with_element(attention.element, [&](auto element) {
    constexpr Element kElement = decltype(element)::value;
    if (attention.kv.head_dim == 64) {
      launch_prefill<kElement, 64>(attention, launch);
    } else {
      launch_prefill<kElement, 128>(attention, launch);
    }
  });
}

void rope_kv_write(const RopeKvWrite& write, const Launch& launch) {
  if (write.count == 0) return;
  const dim3 grid(static_cast<unsigned>(write.count));
  with_element(write.element, [&](auto element) {
    constexpr Element kElement = decltype(element)::value;
    if (write.kv.head_dim == 64) {
      launch_kernel(launch, rope_kv_write_kernel<kElement, 64>, grid, dim3(kRopeWarps * kWarp), 0, write);
    } else {
      launch_kernel(launch, rope_kv_write_kernel<kElement, 128>, grid, dim3(kRopeWarps * kWarp), 0, write);
    }
  });
}

}  // namespace lindos::kernels::cuda
