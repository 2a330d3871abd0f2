// SPDX-License-Identifier: Apache-2.0
// Speed of light of a piece of work on one rank: the ceilings a profile states, shared as the
// context says.
#pragma once

#include "scenarios/ops.h"
#include "scenarios/profile.h"
#include "scenarios/units.h"

namespace lindos::sim {

struct Ceilings {
  FlopPerSecond rate{0};
  BytesPerSecond bandwidth{0};
};

// A rank with `threads` of profile.cores has that share of the matrix rate; `active_ranks` such
// ranks share the bandwidth that their threads reach together. REQUIRES: threads >= 1, active_ranks
// >= 1.
[[nodiscard]] Ceilings ceilings(const Profile& profile, int threads, int active_ranks);
// The same for products with weights of this format.
[[nodiscard]] Ceilings ceilings(const Profile& profile, Dtype weights, int threads, int active_ranks);

// max(FLOP/rate, bytes/bandwidth).
[[nodiscard]] Seconds roofline(Flop work, Bytes moved, const Ceilings& ceilings);

// Work of the shapes that samples and queries are compared by; one form for both.
struct Work {
  Flop flop{0};
  Bytes bytes{0};
};
// 2mnk FLOP; inputs, weights and outputs once, all in the weight format.
[[nodiscard]] Work gemm_work(double m, double n, double k, double weight_element_bytes);
// `pairs` visible (query, key) pairs, `keys` cached positions read, `queries` rows; per head dims.
[[nodiscard]] Work attention_work(double pairs, double keys, double queries, std::int64_t q_heads,
                                  std::int64_t kv_heads, std::int64_t head_dim,
                                  double kv_element_bytes);

}  // namespace lindos::sim
