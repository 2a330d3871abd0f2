// SPDX-License-Identifier: Apache-2.0
#include "sim/analytic_cost.h"

#include <algorithm>

namespace lindos::sim {

namespace {

// Handbook §1.1: best bf16 rows reach 0.86-0.95 of the dense peak and 8192^3 0.70-0.81.
constexpr double kGemmComputeUtilisation = 0.75;
// Handbook §1.3 (unofficial): share of the bandwidth that streaming kernels reach.
constexpr double kStreamUtilisation = 0.8;
// Handbook §1.5: decode attention reads at 0.58-0.91 of the HBM peak.
constexpr double kDecodeAttentionUtilisation = 0.75;
// assume: fused causal attention against the dense peak, between the 0.35 of FlashAttention-2 and
// 0.75 of -3.
constexpr double kPrefillAttentionUtilisation = 0.5;
// Handbook §2.2: one-shot all-reduce reads peers at 250-310 of 450 GB/s.
constexpr double kOneShotUtilisation = 0.62;
// Handbook §2.1: large rings reach 335-460 GB/s of the 450 GB/s one-way link.
constexpr double kRingUtilisation = 0.75;
// Handbook §2.1: floor of an NCCL collective beyond the one-shot start of 3 us.
constexpr Seconds kRingStart{12e-6};

Seconds bounded(const Op& op, const Ceilings& c, double compute, double memory) {
  return std::max(op.flop / (c.rate * compute), op.bytes() / (c.bandwidth * memory));
}

}  // namespace

Seconds analytic_compute_time(const Op& op, const Ceilings& c, Seconds launch) {
  switch (op.kind) {
    case OpKind::kGemm:
    case OpKind::kMoeGemm:
      return bounded(op, c, kGemmComputeUtilisation, kStreamUtilisation);
    case OpKind::kAttentionPrefill:
      return bounded(op, c, kPrefillAttentionUtilisation, kStreamUtilisation);
    case OpKind::kAttentionDecode:
      return bounded(op, c, kGemmComputeUtilisation, kDecodeAttentionUtilisation);
    default:
      return bounded(op, c, kGemmComputeUtilisation, kStreamUtilisation) + launch;
  }
}

std::optional<Seconds> analytic_message_time(const Op& op, const Interconnect& path) {
  if (path.bandwidth.value() <= 0.0) return std::nullopt;
  if (op.kind == OpKind::kSendRecv) return path.transfer(op.message_bytes);
  const double n = op.group;
  const Seconds ring_start = path.alpha + kRingStart;
  const BytesPerSecond ring_rate = path.bandwidth * kRingUtilisation;
  const Bytes full = op.message_bytes;
  if (op.kind == OpKind::kAllReduce) {
    // One-shot: every rank reads the buffers of n-1 peers; large messages go around the ring.
    const Seconds one_shot = path.alpha + full * (n - 1.0) / (path.bandwidth * kOneShotUtilisation);
    const Seconds ring = ring_start + full * (2.0 * (n - 1.0) / n) / ring_rate;
    return std::min(one_shot, ring);
  }
  return ring_start + full * ((n - 1.0) / n) / ring_rate;
}

}  // namespace lindos::sim
