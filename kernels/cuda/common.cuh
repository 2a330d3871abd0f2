// SPDX-License-Identifier: Apache-2.0
// What several kernels share: 16-byte moves, tensor-core products, asynchronous copies, dependent launch. Device code
// for sm_80 and later; what needs Hopper is guarded and has a path for sm_80.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/cuda/launch.h"

namespace lindos::kernels::cuda {

using bf16 = __nv_bfloat16;
inline constexpr int kWarp = 32;

// Waits until all kernels before this one in the stream have finished and their writes are visible.
__device__ __forceinline__ void wait_for_predecessor() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// The next kernel may be scheduled once every block has said so (or ended).
__device__ __forceinline__ void release_dependents() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

template <class... Parameters, class... Arguments>
void launch_kernel(const Launch& launch, void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared_bytes,
                   Arguments... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = launch.stream;
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  config.attrs = &attribute;
  config.numAttrs = launch.dependent ? 1 : 0;
  (void)cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
}

// Unsigned integers in the order of the floats, both zeros the same one, and back.
__device__ __forceinline__ std::uint32_t ordered(float value) {
  const std::uint32_t bits = __float_as_uint(value + 0.0F);
  return (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
}
__device__ __forceinline__ float unordered(std::uint32_t key) {
  return __uint_as_float((key & 0x80000000U) != 0 ? key & 0x7fffffffU : ~key);
}

// Two bf16 in a 32-bit register → two floats, and back (round to nearest even).
__device__ __forceinline__ float2 unpack(std::uint32_t pair) {
  return {__uint_as_float(pair << 16U), __uint_as_float(pair & 0xffff0000U)};
}
__device__ __forceinline__ std::uint32_t pack(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return reinterpret_cast<const std::uint32_t&>(pair);
}

// Eight neighbours in 16 bytes.
__device__ __forceinline__ void unpack_eight(float (&f)[8], const uint4& v) {
  const std::uint32_t pairs[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    const float2 two = unpack(pairs[j]);
    f[2 * j] = two.x;
    f[2 * j + 1] = two.y;
  }
}
__device__ __forceinline__ void add_eight(float (&sum)[8], const uint4& v) {
  float f[8];
  unpack_eight(f, v);
#pragma unroll
  for (int j = 0; j < 8; ++j) sum[j] += f[j];
}
__device__ __forceinline__ uint4 pack_eight(const float (&f)[8]) {
  return {pack(f[0], f[1]), pack(f[2], f[3]), pack(f[4], f[5]), pack(f[6], f[7])};
}
__device__ __forceinline__ void add_squares(float& sum, const uint4& v) {
  for (const std::uint32_t pair : {v.x, v.y, v.z, v.w}) {
    const float2 f = unpack(pair);
    sum += f.x * f.x + f.y * f.y;
  }
}
// x · scale · weight.
__device__ __forceinline__ uint4 scaled(const uint4& x, float scale, const uint4& weight) {
  const auto two = [scale](std::uint32_t a, std::uint32_t b) {
    const float2 f = unpack(a);
    const float2 g = unpack(b);
    return pack(f.x * scale * g.x, f.y * scale * g.y);
  };
  return {two(x.x, weight.x), two(x.y, weight.y), two(x.z, weight.z), two(x.w, weight.w)};
}
__device__ __forceinline__ uint4 eight_ones() {
  constexpr std::uint32_t kTwo = 0x3f803f80U;
  return {kTwo, kTwo, kTwo, kTwo};
}
__device__ __forceinline__ float silu(float x) { return x / (1.0F + __expf(-x)); }

// d += a · b for one 16 × 8 × 16 tile, bf16 in, f32 accumulation. Lane (g, t) = (lane / 4, lane % 4) holds
//   a[0]: row g, k 2t..2t+1 · a[1]: row g+8, the same k · a[2], a[3]: k + 8
//   b[0]: column g, k 2t..2t+1 · b[1]: k + 8
//   d[0], d[1]: row g, columns 2t, 2t+1 · d[2], d[3]: row g+8.
// The order of k is free as long as a and b agree. Two steps at once therefore let lane t of a row hold 8 neighbouring
// values (16 bytes): {8t, 8t+1 | 8t+2, 8t+3} in the first, {8t+4, 8t+5 | 8t+6, 8t+7} in the second.
__device__ __forceinline__ void mma_16x8x16(float (&d)[4], std::uint32_t a0, std::uint32_t a1, std::uint32_t a2,
                                            std::uint32_t a3, std::uint32_t b0, std::uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

// Both steps of 32 k: `low` is 8 values of row g, `high` of row g + 8, `b` of column g.
__device__ __forceinline__ void mma_16x8x32(float (&d)[4], const uint4& low, const uint4& high, const uint4& b) {
  mma_16x8x16(d, low.x, high.x, low.y, high.y, b.x, b.y);
  mma_16x8x16(d, low.z, high.z, low.w, high.w, b.z, b.w);
}

__device__ __forceinline__ std::uint32_t shared_address(const void* pointer) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(pointer));
}

// Four 8 × 8 tiles of 16-bit values, each read by rows from the addresses of 8 lanes and transposed.
__device__ __forceinline__ void load_matrix_transposed(std::uint32_t (&r)[4], std::uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}
__device__ __forceinline__ void load_matrix(std::uint32_t (&r)[4], std::uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}

// 16 bytes global → shared, past L1, asynchronously; with zero `bytes` the destination is cleared instead.
__device__ __forceinline__ void copy_async_16(std::uint32_t destination, const void* source, int bytes = 16) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(destination), "l"(source), "r"(bytes) : "memory");
}
__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int kPending>
__device__ __forceinline__ void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

#if __CUDA_ARCH__ >= 900
// Barriers in shared memory that count arrivals and bytes.
__device__ __forceinline__ void barrier_init(std::uint64_t* barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
}
__device__ __forceinline__ void barrier_expect(std::uint64_t* barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes)
               : "memory");
}
__device__ __forceinline__ void barrier_arrive(std::uint64_t* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}
__device__ __forceinline__ void barrier_wait(std::uint64_t* barrier, std::uint32_t parity) {
  asm volatile(
      "{\n"
      ".reg .pred done;\n"
      "again: mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra again;\n"
      "}\n" ::"r"(shared_address(barrier)),
      "r"(parity)
      : "memory");
}
// `bytes` contiguous bytes global → shared by the copy engine; multiples of 16. Read once, so first out of L2.
__device__ __forceinline__ void copy_bulk(void* destination, const void* source, int bytes, std::uint64_t* barrier,
                                          std::uint64_t policy) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], [%1], %2, [%3], %4;" ::"r"(
          shared_address(destination)),
      "l"(source), "r"(bytes), "r"(shared_address(barrier)), "l"(policy)
      : "memory");
}
__device__ __forceinline__ std::uint64_t evict_first_policy() {
  std::uint64_t policy;
  asm volatile("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
  return policy;
}
__device__ __forceinline__ void prefetch_bulk(const void* source, int bytes) {
  asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(source), "r"(bytes) : "memory");
}
#endif

}  // namespace lindos::kernels::cuda
