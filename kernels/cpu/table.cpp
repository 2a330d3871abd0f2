// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/table.h"

#include <cstdlib>
#include <memory>
#include <new>

namespace lindos::kernels {
namespace {

const KernelTable& choose_table() {
#if defined(LINDOS_KERNELS_X86)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") != 0) return kAvx512Kernels;
  if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0) return kAvx2Kernels;
#endif
  return kPortableKernels;
}

constexpr std::size_t kCacheLine = 64;

struct Free {
  void operator()(float* p) const { std::free(p); }  // NOLINT(*-no-malloc): pairs with aligned_alloc
};
struct Buffer {
  std::unique_ptr<float[], Free> data;
  std::size_t floats = 0;
};

}  // namespace

const KernelTable& kernel_table() {
  static const KernelTable& table = choose_table();
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
