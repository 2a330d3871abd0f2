// SPDX-License-Identifier: Apache-2.0
// The sum over the ranks of a tensor group on the device, between a row-parallel product and the residual stream.
//   ranks that share the GPU (threads)  → one shot: a kernel reads all ranks' buffers, in rank order, after events
//   a GPU each (processes)              → NCCL's all-reduce, then one add
// Either way every rank ends with the same bits. NCCL sums in bf16, the kernel in f32.
// Threading: one object per rank, used by its thread. None may end before all ranks are done with their last sum.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "exec/comm/communicator.h"
#include "exec/cuda/device_buffer.h"
#include "kernels/cuda/launch.h"

namespace lindos::exec::cuda {

class TensorGroup {
 public:
  virtual ~TensorGroup() = default;
  // Where the rank's next product goes: [rows, width].
  [[nodiscard]] virtual __nv_bfloat16* partial() const = 0;
  // residual [rows, width] += Σ over ranks of partial (+ bias). All ranks call it, with the same shape. Queued on the stream.
  virtual void add_to(__nv_bfloat16* residual, const __nv_bfloat16* bias, std::int64_t rows, const Stream& stream) = 0;
  // Waits for the stream. Throws Error{kEnvironment} when a rank is lost, where that can be known.
  virtual void wait(const Stream& stream, const char* what) = 0;
  [[nodiscard]] virtual std::size_t bytes() const = 0;
};

// Buffers for `rows` rows at most. Throws Error{kInput} for more ranks than a device can serve, Error{kEnvironment} when
// NCCL is missing or its ranks do not meet.
[[nodiscard]] std::unique_ptr<TensorGroup> make_tensor_group(Communicator& comm, std::int64_t rows, std::int64_t width);

}  // namespace lindos::exec::cuda
