// SPDX-License-Identifier: Apache-2.0
// Prefill attention for Hopper, heads of 128: one block per 128 rows and q head. A producer warp fetches pages by the
// tensor copy engine; two warpgroups of 64 rows multiply with asynchronous warpgroup instructions (wgmma). While the
// tensor cores work on the values of one block of keys, the warpgroup takes the softmax of the next.
#include <cuda.h>

#include "kernels/cuda/attention_hopper.h"
#include "kernels/cuda/attention_parts.cuh"
#include "kernels/cuda/device_limits.h"
#include "kernels/cuda/wgmma.cuh"

namespace lindos::kernels::cuda {

namespace {

constexpr int kDim = 128;
constexpr int kGroups = 2;                             // warpgroups of consumers, 64 rows each
constexpr int kGroupThreads = 4 * kWarp;
// Registers are given out by warpgroups: the producer's go to the consumers.
constexpr int kThreads = (kGroups + 1) * kGroupThreads;
[[maybe_unused]] constexpr int kKeys = 2 * kDevicePageTokens;           // per block of keys: two pages
constexpr int kStages = 2;
// A tile in shared memory is two halves of the head dimension, each rows of 64 values in 128-byte swizzle.
constexpr int kHalf = 64;
constexpr int kRowBytes = kHalf * 2;
constexpr int kHalfTile = 128 * kRowBytes;             // of 128 rows: q of the block, or keys
constexpr int kTile = 2 * kHalfTile;
constexpr int kBox = 64;                               // rows per copy: a page, or a warpgroup's rows of q
constexpr int kShared = kTile * (1 + 2 * kStages) + 1024;

struct Barriers {
  std::uint64_t q;
  std::uint64_t full_k[kStages], full_v[kStages];
  std::uint64_t empty_k[kStages], empty_v[kStages];
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

__device__ __forceinline__ void copy_tile(void* destination, const CUtensorMap* map, int column, int row, std::uint64_t* barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(
          shared_address(destination)),
      "l"(map), "r"(column), "r"(row), "r"(shared_address(barrier))
      : "memory");
}

// What both products write: 64 registers.
#define LINDOS_REGISTERS \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
  "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
  "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define LINDOS_SUMS \
  "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7]), \
  "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15]), \
  "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]), "+f"(d[21]), "+f"(d[22]), "+f"(d[23]), \
  "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]), "+f"(d[28]), "+f"(d[29]), "+f"(d[30]), "+f"(d[31]), \
  "+f"(d[32]), "+f"(d[33]), "+f"(d[34]), "+f"(d[35]), "+f"(d[36]), "+f"(d[37]), "+f"(d[38]), "+f"(d[39]), \
  "+f"(d[40]), "+f"(d[41]), "+f"(d[42]), "+f"(d[43]), "+f"(d[44]), "+f"(d[45]), "+f"(d[46]), "+f"(d[47]), \
  "+f"(d[48]), "+f"(d[49]), "+f"(d[50]), "+f"(d[51]), "+f"(d[52]), "+f"(d[53]), "+f"(d[54]), "+f"(d[55]), \
  "+f"(d[56]), "+f"(d[57]), "+f"(d[58]), "+f"(d[59]), "+f"(d[60]), "+f"(d[61]), "+f"(d[62]), "+f"(d[63])

// d [64 × 128] (+)= a · b, one step of 16 in k. Both from shared memory, k contiguous.
template <Element kElement>
__device__ __forceinline__ void multiply(float (&d)[64], std::uint64_t a, std::uint64_t b, int accumulate) {
#define LINDOS_PRODUCT(type)                                                                                          \
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %66, 0;\n"                                                            \
               "wgmma.mma_async.sync.aligned.m64n128k16.f32." type "." type " {" LINDOS_REGISTERS "}, %64, %65, p, 1, 1, 0, 0;\n}\n" \
               : LINDOS_SUMS                                                                                          \
               : "l"(a), "l"(b), "r"(accumulate))
  if constexpr (kElement == Element::kF16) {
    LINDOS_PRODUCT("f16");
  } else {
    LINDOS_PRODUCT("bf16");
  }
#undef LINDOS_PRODUCT
}

// The same with a from registers and b with its columns contiguous; always adds.
template <Element kElement>
__device__ __forceinline__ void multiply(float (&d)[64], const std::uint32_t (&a)[4], std::uint64_t b) {
#define LINDOS_PRODUCT(type)                                                                                          \
  asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32." type "." type " {" LINDOS_REGISTERS                       \
               "}, {%64, %65, %66, %67}, %68, 1, 1, 1, 1;\n"                                                          \
               : LINDOS_SUMS                                                                                          \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b))
  if constexpr (kElement == Element::kF16) {
    LINDOS_PRODUCT("f16");
  } else {
    LINDOS_PRODUCT("bf16");
  }
#undef LINDOS_PRODUCT
}
#undef LINDOS_SUMS
#undef LINDOS_REGISTERS

__device__ void produce(const PrefillAttention& a, const PrefillTile& tile, const CUtensorMap* q_map, const CUtensorMap* kv_map,
                        unsigned char* shared, Barriers& barriers, int begin, int end) {
  const int head = blockIdx.x;
  const int kv_head = (head + a.heads.q_offset) / a.heads.group;
  const int* table = a.table + tile.slice.table * a.table_stride;
  barrier_expect(&barriers.q, kTile);
  for (int half = 0; half < 2; ++half) {
    for (int w = 0; w < kGroups; ++w) {
      copy_tile(shared + half * kHalfTile + w * kBox * kRowBytes, q_map, head * kDim + half * kHalf,
                tile.slice.first_row + tile.token + w * kBox, &barriers.q);
    }
  }
  const int pages = (tile.slice.first_position + min(tile.token + kPrefillTileRows, tile.slice.tokens) - 1) / kDevicePageTokens + 1;
  for (int j = begin; j < end; ++j) {
    const int stage = (j - begin) % kStages;
    const std::uint32_t parity = ((j - begin) / kStages - 1) & 1;
    for (int value = 0; value < 2; ++value) {
      std::uint64_t* full = value == 0 ? &barriers.full_k[stage] : &barriers.full_v[stage];
      if (j - begin >= kStages) barrier_wait(value == 0 ? &barriers.empty_k[stage] : &barriers.empty_v[stage], parity);
      unsigned char* destination = shared + kTile * (1 + stage * 2 + value);
      barrier_expect(full, kTile);
      for (int p = 0; p < 2; ++p) {
        // A second page beyond the last stands for keys that the mask hides.
        const int block = table[min(j * 2 + p, pages - 1)];
        const int row = ((block * 2 + value) * a.kv.kv_heads + kv_head) * kDevicePageTokens;
        for (int half = 0; half < 2; ++half) {
          copy_tile(destination + half * kHalfTile + p * kBox * kRowBytes, kv_map, half * kHalf, row, full);
        }
      }
    }
  }
}

struct RowState {
  float maximum[2] = {-INFINITY, -INFINITY};
  float weight[2] = {0.0F, 0.0F};
};

// Scores → exponentials in place; the factor by which earlier sums shrink. Rows g and g + 8 of the warp.
__device__ __forceinline__ void softmax(float (&score)[64], RowState& state, float (&correction)[2], float scale, int first_key,
                                        int first_position, int window, bool masked) {
  if (masked) {
#pragma unroll
    for (int i = 0; i < 64; ++i) {
      const int key = first_key + i / 4 * 8 + i % 2;
      const int position = first_position + (i / 2 % 2) * 8;
      if (key > position || (window > 0 && key <= position - window)) score[i] = -INFINITY;
    }
  }
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    float largest = -INFINITY;
#pragma unroll
    for (int n = 0; n < 16; ++n) largest = fmaxf(largest, fmaxf(score[n * 4 + 2 * h], score[n * 4 + 2 * h + 1]));
    const float next = fmaxf(state.maximum[h], quad_max(largest));
    const float base = next == -INFINITY ? 0.0F : next * scale;
    correction[h] = exp2f(state.maximum[h] * scale - base);
    state.maximum[h] = next;
    float added = 0.0F;
#pragma unroll
    for (int n = 0; n < 16; ++n) {
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        float& s = score[n * 4 + 2 * h + i];
        s = exp2f(s * scale - base);
        added += s;
      }
    }
    state.weight[h] = state.weight[h] * correction[h] + added;
  }
}

template <Element kElement>
__device__ void consume(const PrefillAttention& a, const PrefillTile& tile, unsigned char* shared, Barriers& barriers, int begin,
                        int end) {
  const int group = threadIdx.x / kGroupThreads;
  const int warp = threadIdx.x / kWarp % 4;
  const int lane = threadIdx.x % kWarp;
  const bool elected = threadIdx.x % kGroupThreads == 0;
  const int row = group * kBox + warp * 16 + lane / 4;   // and row + 8
  const int position = tile.slice.first_position + tile.token + row;
  const int group_position = tile.slice.first_position + tile.token + group * kBox;
  const float scale = a.scale * kLog2E;
  const std::uint64_t q[2] = {descriptor(shared + group * kBox * kRowBytes, 16, 1024),
                              descriptor(shared + kHalfTile + group * kBox * kRowBytes, 16, 1024)};
  float sum[64];
#pragma unroll
  for (float& s : sum) s = 0.0F;
  float score[64];
  RowState state;
  float correction[2];
  std::uint32_t p[8][4];

  const auto stage_of = [&](int j) { return (j - begin) % kStages; };
  const auto parity_of = [&](int j) { return static_cast<std::uint32_t>((j - begin) / kStages) & 1U; };
  const auto keys_times_q = [&](int j) {
    const unsigned char* keys = shared + kTile * (1 + stage_of(j) * 2);
    barrier_wait(&barriers.full_k[stage_of(j)], parity_of(j));
    hold(score);
    products_begin();
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const std::uint64_t k = descriptor(keys + half * kHalfTile, 16, 1024);
#pragma unroll
      for (int s = 0; s < 4; ++s) multiply<kElement>(score, q[half] + s * 2, k + s * 2, half + s > 0);
    }
    products_commit();
  };
  const auto take_softmax = [&](int j) {
    const bool masked = (j + 1) * kKeys - 1 > group_position || a.window > 0;
    softmax(score, state, correction, scale, j * kKeys + lane % 4 * 2, position, a.window, masked);
  };
  const auto pack_weights = [&] {
#pragma unroll
    for (int s = 0; s < 8; ++s) {
#pragma unroll
      for (int i = 0; i < 4; ++i) p[s][i] = pack<kElement>(score[s * 8 + i * 2], score[s * 8 + i * 2 + 1]);
    }
  };

  const auto weights_times_values = [&](int j) {
    const unsigned char* values = shared + kTile * (2 + stage_of(j) * 2);
    barrier_wait(&barriers.full_v[stage_of(j)], parity_of(j));
    hold(sum);
    products_begin();
    const std::uint64_t v = descriptor(values, kHalfTile, 1024);
#pragma unroll
    for (int s = 0; s < 8; ++s) multiply<kElement>(sum, p[s], v + s * (16 * kRowBytes >> 4));
    products_commit();
  };

  barrier_wait(&barriers.q, 0);
  keys_times_q(begin);
  products_wait<0>();
  hold(score);
  if (elected) barrier_arrive(&barriers.empty_k[stage_of(begin)]);
  take_softmax(begin);
  pack_weights();
  for (int j = begin; j + 1 < end; ++j) {
    keys_times_q(j + 1);
    weights_times_values(j);
    products_wait<1>();
    hold(score);
    if (elected) barrier_arrive(&barriers.empty_k[stage_of(j + 1)]);
    take_softmax(j + 1);
    products_wait<0>();
    hold(sum);
    if (elected) barrier_arrive(&barriers.empty_v[stage_of(j)]);
#pragma unroll
    for (int i = 0; i < 64; ++i) sum[i] *= correction[i / 2 % 2];
    pack_weights();
  }
  weights_times_values(end - 1);
  products_wait<0>();
  hold(sum);
  const int rows = min(kPrefillTileRows, tile.slice.tokens - tile.token);
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const float inverse = 1.0F / quad_sum(state.weight[h]);
    const int r = row + h * 8;
    if (r >= rows) continue;
    Number* out = a.out + static_cast<std::int64_t>(tile.slice.first_row + tile.token + r) * a.ld_out + blockIdx.x * kDim + lane % 4 * 2;
#pragma unroll
    for (int n = 0; n < 16; ++n) {
      *reinterpret_cast<std::uint32_t*>(out + n * 8) = pack<kElement>(sum[n * 4 + 2 * h] * inverse, sum[n * 4 + 2 * h + 1] * inverse);
    }
  }
}

#endif

template <Element kElement>
__global__ void __launch_bounds__(kThreads, 1) hopper_prefill_kernel(const PrefillAttention a, const __grid_constant__ CUtensorMap q_map,
                                                                     const __grid_constant__ CUtensorMap kv_map) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  extern __shared__ unsigned char raw[];
  // The swizzle repeats every 1,024 bytes.
  unsigned char* shared = raw + (1024 - shared_address(raw) % 1024) % 1024;
  __shared__ Barriers barriers;
  const PrefillTile tile = a.tiles[blockIdx.y];
  const int first = tile.slice.first_position + tile.token;
  const int last = tile.slice.first_position + min(tile.token + kPrefillTileRows, tile.slice.tokens) - 1;
  const int begin = a.window > 0 ? max(0, first - a.window + 1) / kKeys : 0;
  const int end = last / kKeys + 1;
  if (threadIdx.x == 0) {
    barrier_init(&barriers.q, 1);
    for (int s = 0; s < kStages; ++s) {
      barrier_init(&barriers.full_k[s], 1);
      barrier_init(&barriers.full_v[s], 1);
      barrier_init(&barriers.empty_k[s], kGroups);
      barrier_init(&barriers.empty_v[s], kGroups);
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __syncthreads();
  wait_for_predecessor();
  if (threadIdx.x >= kGroups * kGroupThreads) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 24;");
    if (threadIdx.x % kGroupThreads == 0) produce(a, tile, &q_map, &kv_map, shared, barriers, begin, end);
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 240;");
    consume<kElement>(a, tile, shared, barriers, begin, end);
  }
  release_dependents();
#endif
}

using EncodeTiled = CUresult(CUtensorMap*, CUtensorMapDataType, cuuint32_t, void*, const cuuint64_t*, const cuuint64_t*,
                             const cuuint32_t*, const cuuint32_t*, CUtensorMapInterleave, CUtensorMapSwizzle, CUtensorMapL2promotion,
                             CUtensorMapFloatOOBfill);

EncodeTiled* encoder() {
  static EncodeTiled* const function = [] {
    void* address = nullptr;
    cudaDriverEntryPointQueryResult found{};
    const cudaError_t status =
        cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &address, 12000, cudaEnableDefault, &found);
    return status == cudaSuccess && found == cudaDriverEntryPointSuccess ? reinterpret_cast<EncodeTiled*>(address) : nullptr;
  }();
  return function;
}

// A matrix of `rows` × `columns`, fetched in boxes of 64 × 64.
bool describe(CUtensorMap& map, Element element, const Number* data, std::uint64_t rows, std::uint64_t columns) {
  const cuuint64_t size[2] = {columns, rows};
  const cuuint64_t pitch[1] = {columns * sizeof(Number)};
  const cuuint32_t box[2] = {kHalf, kBox};
  const cuuint32_t step[2] = {1, 1};
  const CUtensorMapDataType type = element == Element::kF16 ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16 : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
  return encoder()(&map, type, 2, const_cast<Number*>(data), size, pitch, box, step,
                   CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                   CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

template <Element kElement>
void launch_hopper(const PrefillAttention& a, const CUtensorMap& q_map, const CUtensorMap& kv_map, const Launch& launch) {
  static const bool raised = [] {
    (void)cudaFuncSetAttribute(hopper_prefill_kernel<kElement>, cudaFuncAttributeMaxDynamicSharedMemorySize, kShared);
    return true;
  }();
  (void)raised;
  launch_kernel(launch, hopper_prefill_kernel<kElement>, dim3(static_cast<unsigned>(a.heads.q_heads), static_cast<unsigned>(a.count)),
                dim3(kThreads), kShared, a, q_map, kv_map);
}

}  // namespace

bool hopper_prefill(const PrefillAttention& a, const Launch& launch) {
#ifdef LINDOS_CUDA_SM90A
  constexpr bool kBuilt = true;
#else
  constexpr bool kBuilt = false;   // the kernel is empty in a build for other architectures
#endif
  if (!kBuilt || compute_capability() != 90 || a.kv.head_dim != kDim || encoder() == nullptr) return false;
  CUtensorMap q_map{};
  CUtensorMap kv_map{};
  // Of the pages only those in the block tables are read; their number does not matter to the map.
  constexpr std::uint64_t kManyRows = std::uint64_t{1} << 31U;
  if (!describe(q_map, a.element, a.qkv.rows, static_cast<std::uint64_t>(a.rows), static_cast<std::uint64_t>(a.qkv.ld)) ||
      !describe(kv_map, a.element, a.kv.pages, kManyRows, kDim)) {
    return false;
  }
  with_element(a.element, [&](auto element) { launch_hopper<decltype(element)::value>(a, q_map, kv_map, launch); });
  return true;
}

}  // namespace lindos::kernels::cuda
