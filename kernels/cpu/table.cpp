// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/table.h"

#include <cstdlib>
#include <memory>
#include <new>

#if defined(LINDOS_KERNELS_X86)
#include <cpuid.h>
#endif

namespace lindos::kernels {
namespace {

#if defined(LINDOS_KERNELS_X86)
// clang 14's __builtin_cpu_supports does not know it.
bool supports_f16c() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}

const KernelTable& avx512_bf16_kernels() {
  static const KernelTable table = [] {
    KernelTable t = kAvx512Kernels;
    t.name = "avx512_bf16";
    t.gemm_bf16 = avx512_bf16_gemm;
    return t;
  }();
  return table;
}
#endif

constexpr std::size_t kCacheLine = 64;

struct Free {
  void operator()(float* p) const { std::free(p); }  // NOLINT(*-no-malloc): pairs with aligned_alloc
};
struct Buffer {
  std::unique_ptr<float[], Free> data;
  std::size_t floats = 0;
};

}  // namespace

const std::vector<const KernelTable*>& runnable_kernel_tables() {
  static const std::vector<const KernelTable*> tables = [] {
    std::vector<const KernelTable*> t{&kPortableKernels};
#if defined(LINDOS_KERNELS_X86)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 && supports_f16c()) t.push_back(&kAvx2Kernels);
    if (__builtin_cpu_supports("avx512f") != 0) t.push_back(&kAvx512Kernels);
    if (__builtin_cpu_supports("avx512bf16") != 0) t.push_back(&avx512_bf16_kernels());
#endif
    return t;
  }();
  return tables;
}

const KernelTable& kernel_table() {
  static const KernelTable& table = *runnable_kernel_tables().back();
  return table;
}

float* thread_scratch(ScratchSlot slot, std::size_t floats) {
  thread_local Buffer buffers[3];
  Buffer& buffer = buffers[static_cast<std::size_t>(slot)];
  if (buffer.floats < floats) {
    const std::size_t bytes = (floats * sizeof(float) + kCacheLine - 1) / kCacheLine * kCacheLine;
    buffer.data.reset(static_cast<float*>(std::aligned_alloc(kCacheLine, bytes)));
    buffer.floats = buffer.data ? floats : 0;
    if (!buffer.data) throw std::bad_alloc();
  }
  return buffer.data.get();
}

}  // namespace lindos::kernels
