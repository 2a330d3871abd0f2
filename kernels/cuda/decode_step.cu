// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/decode_step.h"

#include <algorithm>

#include "kernels/cuda/attention_decode_part.cuh"
#include "kernels/cuda/device_limits.h"
#include "kernels/cuda/skinny_parts.cuh"

namespace lindos::kernels::cuda {

namespace {

constexpr int kStages = 7;                    // per warp, of weights
constexpr int kDecodeStages = 1;              // of keys and values: all warps of a block load at once
constexpr int kMostContextParts = 16;         // 8 KV heads × 16 fill 128 of 132 SMs
constexpr int kMostShared = 225 * 1024;      // of 227: the attention part has some of its own

// The matrices in the order in which a step reads them: four per layer, then the LM head.
enum Matrix { kQkv, kO, kGateUp, kDown, kMatrices };

__device__ __forceinline__ SkinnyGemm product_of(const DecodeStep& s, int layer, int matrix) {
  SkinnyGemm g;
  g.m = 1;
  g.eps = s.eps;
  if (layer == s.layer_count) {
    g.weights = s.lm_head;
    g.n = s.vocab;
    g.k = s.hidden;
    g.x = s.residual;
    g.norm = s.final_norm;
    g.y = s.logits;
    return g;
  }
  const DecodeLayer& w = s.layers[layer];
  const int q_width = s.heads.q_heads * s.kv.head_dim;
  switch (matrix) {
    case kQkv:
      g.weights = w.qkv;
      g.bias = w.qkv_bias;
      g.n = q_width + 2 * s.kv.kv_heads * s.kv.head_dim;
      g.k = s.hidden;
      g.x = s.residual;
      g.norm = w.input_norm;
      g.y = s.qkv;
      break;
    case kO:
      g.weights = w.o;
      g.bias = w.o_bias;
      g.n = s.hidden;
      g.k = q_width;
      g.x = s.attention;
      g.y = s.residual;
      break;
    case kGateUp:
      g.weights = w.gate_up;
      g.up = w.gate_up + static_cast<std::int64_t>(s.ffn) * s.hidden;
      g.bias = w.gate_up_bias;
      g.up_bias = w.gate_up_bias == nullptr ? nullptr : w.gate_up_bias + s.ffn;
      g.n = s.ffn;
      g.k = s.hidden;
      g.x = s.residual;
      g.norm = w.post_norm;
      g.y = s.activated;
      break;
    default:
      g.weights = w.down;
      g.bias = w.down_bias;
      g.n = s.hidden;
      g.k = s.ffn;
      g.x = s.activated;
      g.y = s.residual;
      break;
  }
  return g;
}

__device__ __forceinline__ int tiles_of(const SkinnyGemm& g) {
  const int rows = g.up != nullptr ? kSkinnyTile / 2 : kSkinnyTile;
  return static_cast<int>((g.n + rows - 1) / rows);
}
__device__ __forceinline__ int chunks_of(const SkinnyGemm& g) { return static_cast<int>((g.k + kSkinnyChunk - 1) / kSkinnyChunk); }
// Tiles are dealt out to the blocks in contiguous runs, the same in every layer: a block adds to the same part of the
// residual stream each time.
__device__ __forceinline__ int first_tile(int tiles, int block) {
  return static_cast<int>(static_cast<std::int64_t>(tiles) * block / gridDim.x);
}

// Fetches the stages of one warp, matrix after matrix.
class Loader {
 public:
  __device__ __forceinline__ Loader(const DecodeStep& s, unsigned char* ring) : s_(s), ring_(ring) { open(); }

  // The next stage; after the last one nothing, but a group of copies all the same.
  __device__ __forceinline__ void load() {
    if (open_) {
      const int lane = threadIdx.x % kWarp;
      unsigned char* stage = ring_ + slot_ * kSkinnyStage;
      const int piece = lane % 8;
      const int column = chunk_ * kSkinnyChunk + piece * 8;
      const bool inside = column < g_.k;
#pragma unroll
      for (int j = 0; j < kSkinnyTile / 4; ++j) {
        const int r = lane / 8 + 4 * j;
        const bf16* row = g_.up != nullptr ? row_of<SkinnyOutput::kSwiglu>(g_, tile_, r) : row_of<SkinnyOutput::kStore>(g_, tile_, r);
        const bool valid = inside && row != nullptr;
        copy_async_16(shared_address(stage + r * (kSkinnyChunk * 2) + ((piece ^ ((r & 1) << 2)) << 4)),
                      valid ? row + column : g_.weights, valid ? 16 : 0);
      }
      chunk_ += kSkinnyWarps;
      settle();
    }
    slot_ = slot_ + 1 == kStages ? 0 : slot_ + 1;
    commit_copies();
  }

 private:
  __device__ __forceinline__ void open() {
    g_ = product_of(s_, layer_, matrix_);
    chunks_ = chunks_of(g_);
    tile_ = first_tile(tiles_of(g_), blockIdx.x);
    last_ = first_tile(tiles_of(g_), blockIdx.x + 1);
    chunk_ = threadIdx.x / kWarp;
    settle();
  }
  // To the tile that holds the chunk, in this matrix or a later one.
  __device__ __forceinline__ void settle() {
    while (chunk_ >= chunks_) {
      chunk_ -= chunks_;
      ++tile_;
    }
    if (tile_ < last_) return;
    if (layer_ == s_.layer_count) {
      open_ = false;
      return;
    }
    matrix_ = matrix_ + 1 == kMatrices ? 0 : matrix_ + 1;
    layer_ += matrix_ == 0 ? 1 : 0;
    reopen_ = true;
  }

 public:
  // Called between loads: opening a matrix recurs when this block has no tile of it.
  __device__ __forceinline__ void advance() {
    while (reopen_) {
      reopen_ = false;
      open();
    }
  }

 private:
  const DecodeStep& s_;
  unsigned char* ring_;
  SkinnyGemm g_;
  int layer_ = 0, matrix_ = 0;
  int chunks_ = 1, tile_ = 0, last_ = 0, chunk_ = 0, slot_ = 0;
  bool open_ = true, reopen_ = false;
};

struct Block {
  unsigned char* fragments;   // of this lane's row in the warp's ring
  unsigned char* x;
  float4* partial;
  float* sums;
  int slot = 0;               // next stage to be used
};

// y = f(x · Wᵀ): this block's tiles of one matrix.
template <SkinnyOutput kOutput>
__device__ __forceinline__ void multiply(const SkinnyGemm& g, Block& block, Loader& loader) {
  const int warp = threadIdx.x / kWarp;
  const int lane = threadIdx.x % kWarp;
  const int group = lane / 4;
  const int quarter = lane % 4;
  const int swap = (group & 1) << 2;
  take_x(g, block.x, x_row_bytes(g.k), block.sums);
  const auto* x = reinterpret_cast<const bf16*>(block.x);
  const int chunks = chunks_of(g);
  const int tiles = tiles_of(g);
  const int first = first_tile(tiles, blockIdx.x);
  const int last = first_tile(tiles, blockIdx.x + 1);
  int chunk = warp;
  for (int tile = first; tile < last; ++tile) {
    float sum[4] = {0.0F, 0.0F, 0.0F, 0.0F};
    for (; chunk < chunks; chunk += kSkinnyWarps) {
      loader.load();
      loader.advance();
      uint4 b[2];
#pragma unroll
      for (int s = 0; s < 2; ++s) {
        const int column = chunk * kSkinnyChunk + s * 32 + quarter * 8;
        b[s] = group == 0 && column < g.k ? *reinterpret_cast<const uint4*>(x + column) : uint4{0, 0, 0, 0};
      }
      wait_for_copies<kStages - 1>();
      __syncwarp();
      const unsigned char* stage = block.fragments + block.slot * kSkinnyStage;
#pragma unroll
      for (int s = 0; s < 2; ++s) {
        const int place = ((s * 4 + quarter) ^ swap) << 4;
        mma_16x8x32(sum, *reinterpret_cast<const uint4*>(stage + place),
                    *reinterpret_cast<const uint4*>(stage + 8 * (kSkinnyChunk * 2) + place), b[s]);
      }
      block.slot = block.slot + 1 == kStages ? 0 : block.slot + 1;
      __syncwarp();
    }
    chunk -= chunks;
    // Two areas in turn: a warp that is a tile ahead writes into the other one.
    float4* area = block.partial + (tile - first) % 2 * kSkinnyThreads;
    area[threadIdx.x] = {sum[0], sum[1], sum[2], sum[3]};
    __syncthreads();
    if (warp == (tile - first) % kSkinnyWarps) {
      float result[4] = {0.0F, 0.0F, 0.0F, 0.0F};
#pragma unroll
      for (int w = 0; w < kSkinnyWarps; ++w) {
        const float4 p = area[w * kWarp + lane];
        result[0] += p.x;
        result[1] += p.y;
        result[2] += p.z;
        result[3] += p.w;
      }
      finish<kOutput>(g, tile, lane, result);
    }
  }
}

// Waits until every block has come here for the `count`-th time; what they wrote before is visible then.
__device__ __forceinline__ void meet_blocks(unsigned* barrier, unsigned& count) {
  count += gridDim.x;
  __syncthreads();
  if (threadIdx.x == 0) {
    __threadfence();
    atomicAdd(barrier, 1U);
    unsigned seen = 0;
    // Bounded (seconds): a block that never comes is a defect, and a hung device tells nobody.
    for (unsigned spins = 0; spins < (1U << 22U); ++spins) {
      asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(seen) : "l"(barrier) : "memory");
      if (seen >= count) break;
    }
    if (seen < count) __trap();
  }
  __syncthreads();
}

template <int kDim>
__global__ void __launch_bounds__(kSkinnyThreads, 1) step_kernel(const __grid_constant__ DecodeStep s, int x_bytes, int parts) {
  extern __shared__ __align__(128) unsigned char shared[];
  const int warp = threadIdx.x / kWarp;
  const int lane = threadIdx.x % kWarp;
  unsigned char* ring = shared + warp * kStages * kSkinnyStage;
  unsigned char* keys = shared + kSkinnyWarps * kStages * kSkinnyStage;
  Block block;
  block.fragments = ring + lane / 4 * (kSkinnyChunk * 2);
  block.x = keys + decode_shared_bytes<kDim>(kSkinnyWarps, kDecodeStages);
  block.partial = reinterpret_cast<float4*>(block.x + x_bytes);
  block.sums = reinterpret_cast<float*>(block.partial + 2 * kSkinnyThreads);
  Loader loader(s, ring);
  loader.advance();
#pragma unroll 1
  for (int i = 0; i < kStages - 1; ++i) {
    loader.load();
    loader.advance();
  }
  unsigned met = 0;
#pragma unroll 1
  for (int layer = 0; layer < s.layer_count; ++layer) {
#if __CUDA_ARCH__ >= 900
    // The next norms, for all blocks.
    if (blockIdx.x == 0 && threadIdx.x == 0) {
      prefetch_bulk(s.layers[layer].post_norm, s.hidden * 2);
      prefetch_bulk(layer + 1 < s.layer_count ? s.layers[layer + 1].input_norm : s.final_norm, s.hidden * 2);
    }
#endif
    multiply<SkinnyOutput::kStore>(product_of(s, layer, kQkv), block, loader);
    meet_blocks(s.barrier, met);
    // Attention leaves memory idle at short context: the rest of this block's rows of o come into L2 meanwhile.
    const SkinnyGemm o = product_of(s, layer, kO);
    const int first = first_tile(tiles_of(o), blockIdx.x);
    const int last = first_tile(tiles_of(o), blockIdx.x + 1);
#if __CUDA_ARCH__ >= 900
    if (warp == 0 && lane < kSkinnyTile) {
      for (int tile = first; tile < last; ++tile) {
        const bf16* row = row_of<SkinnyOutput::kAdd>(o, tile, lane);
        const int begin = tile == first ? min(static_cast<int>(o.k), kSkinnyWarps * (kStages - 1) * kSkinnyChunk) : 0;
        if (row != nullptr && begin < o.k) prefetch_bulk(row + begin, static_cast<int>(o.k - begin) * 2);
      }
    }
#endif
    if (static_cast<int>(blockIdx.x) < parts * s.kv.kv_heads) {
      const DecodeLayer& w = s.layers[layer];
      DecodeAttention a;
      a.kv = s.kv;
      a.kv.pages += s.kv_layer_elements * layer;
      a.heads = s.heads;
      a.transform = {w.q_norm, w.k_norm, s.eps, s.cos, s.sin};
      a.qkv = {s.qkv, 0};
      a.row = s.row;
      a.position = s.position;
      a.table = s.table;
      a.table_stride = s.table_stride;
      a.sequences = 1;
      a.scale = s.scale;
      a.window = w.window;
      a.splits = parts;
      a.tickets = s.tickets;
      a.partials = s.partials;
      a.out = s.attention;
      a.ld_out = 0;
      decode_part<kDim, kSkinnyWarps, kDecodeStages, false>(a, blockIdx.x % parts, blockIdx.x / parts, 0, keys);
    }
    meet_blocks(s.barrier, met);
    multiply<SkinnyOutput::kAdd>(o, block, loader);
    meet_blocks(s.barrier, met);
    multiply<SkinnyOutput::kSwiglu>(product_of(s, layer, kGateUp), block, loader);
    meet_blocks(s.barrier, met);
    multiply<SkinnyOutput::kAdd>(product_of(s, layer, kDown), block, loader);
    meet_blocks(s.barrier, met);
  }
  multiply<SkinnyOutput::kLogits>(product_of(s, s.layer_count, kQkv), block, loader);
  wait_for_copies<0>();
  // The last block to leave clears the barrier for the next launch.
  __syncthreads();
  if (threadIdx.x == 0 && atomicAdd(s.barrier, 1U) == met + gridDim.x - 1) *s.barrier = 0;
}

int x_bytes_of(const DecodeStep& s) {
  return x_row_bytes(std::max({s.hidden, s.ffn, s.heads.q_heads * s.kv.head_dim}));
}

template <int kDim>
int shared_bytes(const DecodeStep& s) {
  return kSkinnyWarps * kStages * kSkinnyStage + decode_shared_bytes<kDim>(kSkinnyWarps, kDecodeStages) + x_bytes_of(s) + kSums;
}

int bytes_of(const DecodeStep& s) { return s.kv.head_dim == 64 ? shared_bytes<64>(s) : shared_bytes<128>(s); }

int parts_of(const DecodeStep& s) { return std::clamp(multiprocessors() / s.kv.kv_heads, 1, kMostContextParts); }

template <int kDim>
void launch_step(const DecodeStep& s, const Launch& launch) {
  static const bool raised = [] {
    (void)cudaFuncSetAttribute(step_kernel<kDim>, cudaFuncAttributeMaxDynamicSharedMemorySize, kMostShared);
    return true;
  }();
  (void)raised;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(multiprocessors()));
  config.blockDim = dim3(kSkinnyThreads);
  config.dynamicSmemBytes = static_cast<std::size_t>(shared_bytes<kDim>(s));
  config.stream = launch.stream;
  // All blocks at once, or none: they wait for each other.
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeCooperative;
  attribute.val.cooperative = 1;
  config.attrs = &attribute;
  config.numAttrs = 1;
  (void)cudaLaunchKernelEx(&config, step_kernel<kDim>, s, x_bytes_of(s), parts_of(s));
}

}  // namespace

bool decode_step_fits(const DecodeStep& s) {
  const int q_width = s.heads.q_heads * s.kv.head_dim;
  return (s.kv.head_dim == 64 || s.kv.head_dim == 128) && s.heads.q_heads > 0 && s.ffn > 0 && s.vocab > 0 &&
         s.kv.kv_heads <= multiprocessors() && s.hidden % 32 == 0 && s.ffn % 32 == 0 && q_width % 32 == 0 &&
         bytes_of(s) <= kMostShared;
}

std::size_t decode_step_partial_floats(int kv_heads, int head_dim) {
  return decode_partial_floats(1, kv_heads, kMostContextParts, head_dim);
}

void decode_step(const DecodeStep& step, const Launch& launch) {
  if (step.kv.head_dim == 64) {
    launch_step<64>(step, launch);
  } else {
    launch_step<128>(step, launch);
  }
}

}  // namespace lindos::kernels::cuda
