// SPDX-License-Identifier: Apache-2.0
// Which shapes the probe of a GPU times: plain numbers, no CUDA. Decode steps run in graphs of a power of two of rows
// (graph_bucket), so that the curves over rows have a stair after each; both its ends are points.
#pragma once

#include <cstdint>
#include <vector>

#include "exec/probe/stage_shape.h"
#include "scenarios/model.h"
#include "scenarios/plan.h"

namespace lindos::exec {

// Rows of one product: as they are run, and under which numbers of rows the time is a sample.
struct GemmRows {
  std::int64_t run = 1;
  std::vector<std::int64_t> sampled;
  bool operator==(const GemmRows&) const = default;
};

// Powers of two, points between them where prompts run, and `most` itself.
[[nodiscard]] std::vector<GemmRows> gemm_rows(std::int64_t most);

// Attention: decode by batch and context, then prompts without and after a cached context. Pages of `kv_token_bytes`
// per position and layer stay below `room`.
[[nodiscard]] std::vector<StageShape> attention_shapes(const Model& model, const EngineLimits& limits,
                                                       double kv_token_bytes, double room);

// Whole steps that are timed in place: decodes on both ends of every stair, prompts. Positions as above.
[[nodiscard]] std::vector<StageShape> step_shapes(const Model& model, const EngineLimits& limits);

// Rows of the byte-bound kernels.
[[nodiscard]] std::vector<std::int64_t> stream_rows(const EngineLimits& limits);

}  // namespace lindos::exec
