// SPDX-License-Identifier: Apache-2.0
// The sum over the ranks of a tensor group on the device, between a row-parallel product and the residual stream, with the
// norm that follows.
//   threads that share the GPU             → a kernel reads all ranks' buffers after their events
//   processes that reach each other's GPU  → the kernels meet in peer memory (peer_group.h): part of CUDA graphs
//   other processes                        → NCCL's all-reduce, then one add
// Either way every rank ends with the same bits. NCCL sums in the plan's 16-bit format, the kernels in f32 in rank
// order.
// Threading: one object per rank, used by its thread. None may end before all ranks are done with their last sum.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "exec/comm/all_reduce.h"
#include "exec/comm/communicator.h"
#include "exec/cuda/device_buffer.h"
#include "kernels/cuda/all_reduce.h"

namespace lindos::exec::cuda {

class TensorGroup {
 public:
  virtual ~TensorGroup() = default;
  // All ranks together, each on its own thread, before the first sum.
  virtual void meet() = 0;
  // The rank's residual stream, [rows, width].
  [[nodiscard]] virtual Number* residual() const = 0;
  // Where the rank's next product goes: [rows, width].
  [[nodiscard]] virtual Number* partial() const = 0;
  // residual += Σ over ranks of partial (+ bias), then the norm if it has weights. All ranks call it, with the same shape; a step does
  // so an even number of times. Queued on the stream.
  virtual void add(const Number* bias, const kernels::cuda::FollowingNorm& norm, std::int64_t rows, const kernels::cuda::Launch& launch) = 0;
  // Waits for the stream. Throws Error{kEnvironment} when a rank is lost, where that can be known.
  virtual void wait(const Stream& stream, const char* what) = 0;
  // Once the ranks have met: add() may be captured, no host takes part in it.
  [[nodiscard]] virtual bool can_capture() const = 0;
  // "events", "peer" or "nccl".
  [[nodiscard]] virtual const char* way() const = 0;
  [[nodiscard]] virtual std::size_t bytes() const = 0;
};

// Buffers for `rows` rows at most. Throws Error{kInput} for more ranks than a device can serve, Error{kEnvironment} when the ranks
// cannot go the way that is asked for, or NCCL is missing, or its ranks do not meet.
[[nodiscard]] std::unique_ptr<TensorGroup> make_tensor_group(Communicator& comm, Element element, std::int64_t rows, std::int64_t width,
                                                            AllReduce choice);

}  // namespace lindos::exec::cuda
