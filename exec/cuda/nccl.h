// SPDX-License-Identifier: Apache-2.0
// NCCL, loaded at run time: one binary works on machines without it. One communicator between processes that own a GPU
// each; the first of them hands its id to the others over the host's communicator.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include <cuda_runtime_api.h>

#include "exec/comm/communicator.h"
#include "kernels/cuda/element.h"

namespace lindos::exec::cuda {

using kernels::cuda::Element;
using kernels::cuda::Number;

class Nccl {
 public:
  // All ranks of `comm` together, each with its device current. Throws Error{kEnvironment}: no library, or NCCL's reason.
  explicit Nccl(Communicator& comm);
  ~Nccl();
  Nccl(const Nccl&) = delete;
  Nccl& operator=(const Nccl&) = delete;

  // data[count] becomes the sum over ranks.
  void all_reduce(Element element, Number* data, std::size_t count, cudaStream_t stream);
  // Throws Error{kEnvironment} when NCCL has found a rank or a link lost; the communicator is then aborted.
  void check();
  // After a wait that took too long: aborts, so that kernels leave the device, and throws with `reason`.
  [[noreturn]] void give_up(const std::string& reason);

 private:
  struct Api;
  void check_result(int result, const char* what);
  std::unique_ptr<Api> api_;
};

inline constexpr int kFirstNcclWithSharedGpus = 23000;   // 2.30: several ranks on one GPU
// 22809 = 2.28.9; nothing without the library.
[[nodiscard]] std::optional<int> nccl_version();
[[nodiscard]] std::string nccl_version_text(int version);

}  // namespace lindos::exec::cuda
