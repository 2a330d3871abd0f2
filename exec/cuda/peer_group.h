// SPDX-License-Identifier: Apache-2.0
// Sums over ranks whose kernels meet in each other's memory (kernels/peer_all_reduce.h): threads of one process, or processes of one
// host that map each other's memory, on one GPU or on several with peer access.
#pragma once

#include <memory>
#include <string>

#include "exec/cuda/tensor_group.h"

namespace lindos::exec::cuda {

// Processes: all ranks together; null on all of them, with the reason, where one cannot map another's memory. Threads of one process
// meet later (TensorGroup::meet).
[[nodiscard]] std::unique_ptr<TensorGroup> make_peer_group(Communicator& comm, Element element, std::int64_t rows, std::int64_t width,
                                                          std::string& reason);

}  // namespace lindos::exec::cuda
