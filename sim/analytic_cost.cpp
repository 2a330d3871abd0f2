// SPDX-License-Identifier: Apache-2.0
#include "sim/analytic_cost.h"

#include <algorithm>

namespace lindos::sim {

namespace {

// Handbook §2.2: one-shot all-reduce reads peers at 250-310 of 450 GB/s.
constexpr double kOneShotUtilisation = 0.62;

Seconds bounded(const Op& op, const Ceilings& c, double compute, double memory, double unhidden) {
  const Seconds arithmetic = op.flop / (c.rate * compute);
  const Seconds traffic = op.bytes() / (c.bandwidth * memory);
  return std::max(arithmetic, traffic) + std::min(arithmetic, traffic) * unhidden;
}

double attention_share(const Op& op, double keys, const DeviceClass& device) {
  const double most = op.portable ? device.portable_attention : device.attention;
  const double half = op.portable ? device.portable_attention_half : device.attention_half;
  return keys > 0.0 ? most * keys / (keys + half) : most;
}

}  // namespace

Dtype matrix_dtype(const Op& op, Dtype weight_dtype) {
  const bool weights =
      op.kind == OpKind::kMoeGemm ||
      (op.kind == OpKind::kGemm && op.site != GemmSite::kLmHead && op.site != GemmSite::kRouter);
  return weights || bytes_of(weight_dtype) >= bytes_of(Dtype::kBf16) ? weight_dtype : Dtype::kBf16;
}

Seconds analytic_compute_time(const Op& op, Dtype dtype, double keys, const Ceilings& c,
                              const DeviceClass& device) {
  const double gemm = device.gemm(dtype);
  const double attention = attention_share(op, keys, device);
  switch (op.kind) {
    case OpKind::kAttentionPrefill:
      return bounded(op, c, attention, device.stream, device.unhidden) + device.launch;
    case OpKind::kAttentionBackward:
      return bounded(op, c, attention * device.attention_backward, device.stream, device.unhidden) +
             device.launch;
    case OpKind::kAttentionDecode:
      return bounded(op, c, gemm, device.decode_attention, device.unhidden) + device.launch;
    default:
      return bounded(op, c, gemm, device.stream, device.unhidden) + device.launch;
  }
}

std::optional<Seconds> analytic_message_time(const Op& op, const Interconnect& path) {
  if (path.bandwidth.value() <= 0.0) return std::nullopt;
  if (op.kind == OpKind::kSendRecv) return path.transfer(op.message_bytes);
  const double n = op.group;
  const Seconds ring_start = path.alpha + path.ring_start;
  const BytesPerSecond ring_rate = path.bandwidth * path.ring_share;
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
