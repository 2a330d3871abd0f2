// SPDX-License-Identifier: Apache-2.0
// The probe of a GPU in a build without CUDA: says so.
#include "exec/probe/cuda_probe.h"

#include "scenarios/error.h"

namespace lindos::exec {

namespace {

[[noreturn]] void no_cuda() {
  (void)cuda::device_or_throw();
  throw Error(ErrorKind::kEnvironment, "GPU", "this build has no CUDA backend");
}

}  // namespace

Profile cuda_probe(const CudaProbeRequest&) { no_cuda(); }
Profile cuda_ceilings(const CudaProbeRequest&) { no_cuda(); }

}  // namespace lindos::exec
