// SPDX-License-Identifier: Apache-2.0
#include "sim/roofline.h"

#include <algorithm>
#include <cstddef>

#include "scenarios/ceilings.h"

namespace lindos::sim {

namespace {

BytesPerSecond bandwidth_of(const Profile& profile, int threads) {
  const auto& measured = profile.read_bandwidth_by_threads;
  if (measured.empty()) return profile.read_bandwidth;
  const std::size_t index = std::min(static_cast<std::size_t>(threads), measured.size()) - 1;
  return measured[index];
}

}  // namespace

Ceilings ceilings(const Profile& profile, int threads, int active_ranks) {
  const double cores = std::max(1, profile.cores);
  const double share = std::min(1.0, threads / cores);
  const BytesPerSecond alone = bandwidth_of(profile, threads);
  const BytesPerSecond together =
      bandwidth_of(profile, std::min(threads * active_ranks, std::max(1, profile.cores)));
  // Ranks on devices of their own (GPU profiles: one core, one rank) never get here with
  // active_ranks > 1.
  return {profile.matrix_rate * share, std::min(alone, together / active_ranks)};
}

Ceilings ceilings(const Profile& profile, Dtype weights, int threads, int active_ranks) {
  Ceilings c = ceilings(profile, threads, active_ranks);
  c.rate = c.rate * (matrix_rate_of(profile, weights) / profile.matrix_rate);
  return c;
}

Seconds roofline(Flop work, Bytes moved, const Ceilings& c) {
  return std::max(work / c.rate, moved / c.bandwidth);
}

Work gemm_work(double m, double n, double k, double weight_element_bytes) {
  return {Flop(2.0 * m * n * k), Bytes(weight_element_bytes * (m * k + n * k + m * n))};
}

Work attention_work(double pairs, double keys, double queries, std::int64_t q_heads,
                    std::int64_t kv_heads, std::int64_t head_dim, double kv_element_bytes) {
  const double q_width = static_cast<double>(q_heads * head_dim);
  const double kv_width = static_cast<double>(kv_heads * head_dim);
  return {Flop(4.0 * pairs * q_width),
          Bytes(kv_element_bytes * (2.0 * keys * kv_width + 2.0 * queries * q_width))};
}

}  // namespace lindos::sim
