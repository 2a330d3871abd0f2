// SPDX-License-Identifier: Apache-2.0
// How the CUDA kernels of this room are launched. Every launcher takes raw device pointers and a stream, returns at
// once and leaves errors to cudaGetLastError: the caller checks (exec/cuda/cuda_error.h).
#pragma once

#include <cuda_runtime_api.h>

namespace lindos::kernels::cuda {

struct Launch {
  cudaStream_t stream = nullptr;
  // Programmatic dependent launch: the kernel may start while its predecessor in the stream still runs, loads what does
  // not depend on it, and waits for its results itself. Every kernel here waits, so any of them may follow any other.
  bool dependent = false;
};

}  // namespace lindos::kernels::cuda
