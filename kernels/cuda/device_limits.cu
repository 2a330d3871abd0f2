// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/device_limits.h"

#include <cuda_runtime.h>

namespace lindos::kernels::cuda {

namespace {

int attribute(cudaDeviceAttr name) {
  int device = 0;
  int value = 0;
  if (cudaGetDevice(&device) != cudaSuccess || cudaDeviceGetAttribute(&value, name, device) != cudaSuccess) return 1;
  return value;
}

thread_local int part = 0;

}  // namespace

int multiprocessors() {
  static const int count = attribute(cudaDevAttrMultiProcessorCount);
  return part > 0 ? part : count;
}

void use_multiprocessors(int count) { part = count; }

int compute_capability() {
  static const int value =
      attribute(cudaDevAttrComputeCapabilityMajor) * 10 + attribute(cudaDevAttrComputeCapabilityMinor);
  return value;
}

int shared_memory() {
  static const int bytes = attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin);
  return bytes;
}

}  // namespace lindos::kernels::cuda
