// SPDX-License-Identifier: Apache-2.0
// One rank's part of a replica, whatever device it computes on: the layers of its stage on a step, and at the last
// stage the likeliest next tokens. Implemented by RankModel (CPU) and CudaModel.
// Threading: used by one rank thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/attention.h"
#include "kernels/kv_copy.h"
#include "kernels/sample.h"
#include "scenarios/plan.h"

namespace lindos::exec {

// A step as the kernels need it: rows are tokens of all slices, one after the other.
struct StepInput {
  std::vector<kernels::KvBlockCopy> copies;       // before all else, in this order
  std::vector<std::int32_t> ids;                  // [rows]; needed on the first stage only
  std::vector<std::int64_t> positions;            // [rows]
  std::vector<kernels::AttentionSlice> slices;    // blocks point into `blocks`
  std::vector<std::int32_t> blocks;
  std::vector<std::int64_t> logit_rows;           // rows whose logits are wanted, in slice order
  std::vector<std::uint64_t> logit_requests;      // request of each of them
  [[nodiscard]] std::int64_t rows() const { return static_cast<std::int64_t>(positions.size()); }
};

// What steps asked of a rank's routed experts, summed over layers and steps. Zeros where nothing counts them.
struct ExpertUse {
  std::int64_t pairs = 0;   // rows of (token, expert)
  std::int64_t read = 0;    // experts with at least one
};

class StageModel {
 public:
  virtual ~StageModel() = default;
  // All ranks of the stage together, each on the thread that runs its steps, once before the first.
  virtual void meet() {}

  // Later stages: where the residual stream [rows, hidden] of the stage before goes, ahead of forward().
  [[nodiscard]] virtual std::span<float> incoming(std::int64_t rows) = 0;
  // The stage's layers (and embedding, if first). REQUIRES: input.rows() <= max_batched_tokens.
  virtual void forward(const StepInput& input) = 0;
  // Stages before the last, after forward(): the residual stream [rows, hidden] for the next one.
  [[nodiscard]] virtual std::span<const float> outgoing(std::int64_t rows) = 0;
  // Last stage, after forward(): for each wanted row the `per_row` largest logits of this rank's vocabulary share,
  // largest first, ties to the lower id, row after row. REQUIRES: 1 <= per_row <= the share.
  virtual void candidates(const StepInput& input, std::int64_t per_row, std::vector<kernels::Candidate>& out) = 0;
  // Logits [wanted rows, vocabulary share] that candidates() last drew from (tests).
  [[nodiscard]] virtual std::span<const float> last_logits() = 0;

  // Since the last call.
  [[nodiscard]] virtual ExpertUse take_expert_use() { return {}; }
  // By what partial sums go between the ranks of the stage on a GPU: "events", "peer", "nccl"; empty: none do.
  [[nodiscard]] virtual const char* sums_by() const { return ""; }
  [[nodiscard]] virtual std::size_t weight_bytes() const = 0;
  [[nodiscard]] virtual std::size_t kv_bytes() const = 0;  // of the pool, not of host memory beside it
  [[nodiscard]] virtual std::size_t scratch_bytes() const = 0;
};

}  // namespace lindos::exec
