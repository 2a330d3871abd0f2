// SPDX-License-Identifier: Apache-2.0
// Token choice from logits. Counter-based random draw keyed by (seed, request, position): every rank and
// every replay draws the same token.
#pragma once

#include <cstdint>
#include <vector>

namespace lindos::kernels {

struct Candidate {
  float logit;
  std::int32_t id;
};

struct SamplingParameters {
  double temperature = 0.0;   // 0 = greedy
  double top_p = 1.0;
  double min_p = 0.0;
  std::int32_t top_k = 0;     // 0 = all of the candidates given
  std::uint64_t seed = 0;
};

// The `count` largest of logits[0, n), largest first, ties to the lower id; ids are offset by `first_id`.
void top_candidates(const float* logits, std::int64_t n, std::int32_t first_id, std::int64_t count,
                    std::vector<Candidate>& out);
// Uniform in [0, 1), Philox-4x32-10 of (seed, request, position).
[[nodiscard]] double uniform_draw(std::uint64_t seed, std::uint64_t request, std::uint64_t position);
// REQUIRES: candidates sorted, not empty.
[[nodiscard]] std::int32_t sample(const std::vector<Candidate>& candidates,
                                  const SamplingParameters& parameters, std::uint64_t request,
                                  std::uint64_t position);

}  // namespace lindos::kernels
