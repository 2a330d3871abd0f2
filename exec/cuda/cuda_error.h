// SPDX-License-Identifier: Apache-2.0
// CUDA status → Error{kEnvironment}, naming the call. Launch errors are sticky until asked for: check_launch() after
// kernels; after an error that killed the context (illegal address, ECC, Xid) every later call fails alike.
#pragma once

#include <string>

#include <cuda_runtime_api.h>

#include "scenarios/error.h"

namespace lindos::exec::cuda {

inline void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  (void)cudaGetLastError();
  throw Error(ErrorKind::kEnvironment, std::string("CUDA, ") + what,
              std::string(cudaGetErrorName(status)) + ": " + cudaGetErrorString(status));
}

inline void check_launch(const char* what) { check(cudaGetLastError(), what); }

}  // namespace lindos::exec::cuda
