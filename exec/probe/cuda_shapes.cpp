// SPDX-License-Identifier: Apache-2.0
#include "exec/probe/cuda_shapes.h"

#include <algorithm>

#include "exec/cuda/step_layout.h"
#include "exec/runner/rank_worker.h"
#include "kernels/cuda/page.h"

namespace lindos::exec {

namespace {

// Above these rows steps are prompts, which run as they are.
constexpr std::int64_t kLargestStair = 128;
constexpr std::int64_t kLargestDecode = 256;
constexpr std::int64_t kShortestPrompt = 32;
constexpr std::int64_t kLongestPrompt = 8192;

bool fits(const StageShape& shape, const Model& model, const EngineLimits& limits) {
  const std::int64_t positions = std::min(context_limit(model, limits), model.max_positions);
  return shape.sequences <= limits.max_sequences && shape.sequences * shape.tokens <= limits.max_batched_tokens &&
         shape.context + shape.tokens <= positions;
}

}  // namespace

std::vector<GemmRows> gemm_rows(std::int64_t most) {
  std::vector<GemmRows> rows;
  for (std::int64_t m = 1; m <= most; m *= 2) {
    GemmRows& power = rows.emplace_back(GemmRows{m, {}});
    if (m > 2 && m <= kLargestStair) power.sampled.push_back(m / 2 + 1);
    power.sampled.push_back(m);
    // Products cut rows into tiles and tiles into waves: prompts need points nearer to each other.
    for (std::int64_t between = m + m / 4; m >= kLargestStair && between < std::min(2 * m, most); between += m / 4) {
      rows.push_back({between, {between}});
    }
  }
  const auto known = [&](const GemmRows& r) { return r.run == most; };
  if (std::none_of(rows.begin(), rows.end(), known)) rows.push_back({most, {most}});
  return rows;
}

std::vector<StageShape> attention_shapes(const Model& model, const EngineLimits& limits, double kv_token_bytes,
                                         double room) {
  std::vector<StageShape> shapes;
  const auto add = [&](const StageShape& shape) {
    const double kv = static_cast<double>(shape.sequences * (shape.context + shape.tokens)) * kv_token_bytes;
    if (fits(shape, model, limits) && kv <= room) shapes.push_back(shape);
  };
  // A step between the last power of two and the longest context would be held at the edge.
  const std::int64_t longest = std::min(context_limit(model, limits), model.max_positions) - 1;
  for (const std::int64_t sequences : {1, 4, 16, 64, 256}) {
    for (const std::int64_t context : {128, 512, 1024, 2048, 4096, 16384}) {
      if (context < longest) add({sequences, 1, context});
    }
    add({sequences, 1, longest});
  }
  for (const std::int64_t tokens : {32, 64, 128, 256, 512, 1024, 2048, 4096, 8192}) add({1, tokens, 0});
  // Several short prompts at once fill the device better than one.
  for (const std::int64_t tokens : {64, 256, 1024}) {
    for (const std::int64_t sequences : {2, 4, 8, 16, 64}) add({sequences, tokens, 0});
  }
  for (const std::int64_t context : {512, 2048, 8192}) {
    for (const std::int64_t tokens : {128, 512, 2048}) add({1, tokens, context});
  }
  return shapes;
}

std::vector<StageShape> step_shapes(const Model& model, const EngineLimits& limits) {
  std::vector<StageShape> shapes;
  const auto add = [&](const StageShape& shape) {
    if (fits(shape, model, limits)) shapes.push_back(shape);
  };
  // Both ends of a stair; short and longer contexts differ in how much of the step is attention.
  for (std::int64_t bucket = 1; bucket <= kLargestDecode; bucket *= 2) {
    for (const std::int64_t context : {256, 2048}) {
      if (bucket > 2 && bucket <= kLargestStair) add({bucket / 2 + 1, 1, context});
      add({bucket, 1, context});
      if (bucket > 64) break;  // pages of long contexts would fill the device
    }
  }
  // Short prompts wait for their kernels to be launched; that too is part of a step in place.
  for (std::int64_t tokens = kShortestPrompt; tokens <= kLongestPrompt; tokens *= 2) add({1, tokens, 0});
  if (shapes.empty()) add({1, 1, 1});
  return shapes;
}

std::vector<std::int64_t> stream_rows(const EngineLimits& limits) {
  std::vector<std::int64_t> rows;
  for (const std::int64_t m : {1, 16, 64, 256, 1024, 4096, 8192}) {
    if (m <= limits.max_batched_tokens) rows.push_back(m);
  }
  return rows;
}

}  // namespace lindos::exec
