// SPDX-License-Identifier: Apache-2.0
// The few types, values and functions of NCCL 2 that are used, since a CUDA toolkit does not come with its header.
// Stable since 2.10 (bf16) by its versioned interface.
#pragma once

#include <cstddef>

#include <cuda_runtime_api.h>

namespace lindos::exec::cuda::nccl {

using Result = int;
inline constexpr Result kSuccess = 0;
inline constexpr Result kInvalidUsage = 5;
inline constexpr Result kInProgress = 7;
inline constexpr int kFloat16 = 6;
inline constexpr int kBfloat16 = 9;
inline constexpr int kSum = 0;

struct UniqueId {
  char internal[128];
};
using Comm = struct OpaqueComm*;

using GetVersion = Result(int* version);
using GetUniqueId = Result(UniqueId* id);
using CommInitRank = Result(Comm* comm, int ranks, UniqueId id, int rank);
using CommDestroy = Result(Comm comm);
using CommAbort = Result(Comm comm);
using CommGetAsyncError = Result(Comm comm, Result* error);
using GetErrorString = const char*(Result result);
using GetLastError = const char*(Comm comm);
using AllReduce = Result(const void* send, void* receive, std::size_t count, int type, int operation, Comm comm, cudaStream_t stream);

}  // namespace lindos::exec::cuda::nccl
