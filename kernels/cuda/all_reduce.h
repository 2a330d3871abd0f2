// SPDX-License-Identifier: Apache-2.0
// residual += Σ over the ranks' partial sums (+ bias), and the norm that follows it, in one kernel: between a row-parallel
// product and what reads the residual stream next. 16-bit numbers in and out, sums in f32 in rank order, rounded
// once.
//   add_partials     the partial sums are there: of ranks whose kernels an event has ordered, or one that NCCL has summed
//   all_reduce_peer  the ranks meet in the kernel (kernels/peer_all_reduce.h); no host is involved, so it can be captured
// Bytes: 2 · width · (ranks + 2) per row, 2 · width more with the norm; across links per rank (ranks − 1) · 2 · width (one
// shot) or 4 · width · (ranks − 1) / ranks (two).
#pragma once

#include <cstdint>

#include "kernels/cuda/element.h"
#include "kernels/cuda/launch.h"
#include "kernels/peer_all_reduce.h"

namespace lindos::kernels::cuda {

// normed = residual · weight / sqrt(mean(residual²) + eps), of the summed and rounded residual.
struct FollowingNorm {
  const Number* weight = nullptr;                    // [width]; null: no norm
  float eps = 0.0F;
  Number* normed = nullptr;                          // [rows, width]
};

struct PartialSum {
  Element element = Element::kBf16;                  // of all numbers, the norm's too
  Number* residual = nullptr;                        // [rows, width], rows 16-byte aligned
  const Number* partial[kMostPeers] = {};            // [ranks][rows, width]
  int ranks = 0;
  std::int64_t rows = 0;
  std::int64_t width = 0;                            // multiple of 8
  const Number* bias = nullptr;                      // [width], or null
  FollowingNorm norm;
};
void add_partials(const PartialSum& sum, const Launch& launch);

// In page-locked host memory that the device reaches.
struct PeerFault {
  std::uint32_t leave;                               // set by the host, or by a block that waited in vain: waiting blocks leave
  std::uint32_t missing;                             // 1 + a rank that did not come in time; 0: none
};

struct PeerSum {
  PeerPlan plan;
  PartialSum sum;                                    // ranks and rows as the plan's; all pointers reach that rank's memory
  Number* residual[kMostPeers] = {};                 // of every rank
  std::uint32_t* words[kMostPeers] = {};             // of every rank: [kPeerWords], zeroed once
  std::uint32_t* epochs = nullptr;                   // of this rank: [kMostPeerBlocks], zeroed once
  PeerFault* fault = nullptr;
  std::uint64_t patience_ns = 0;                     // for which a block waits for another rank's
};
void all_reduce_peer(const PeerSum& sum, const Launch& launch);

}  // namespace lindos::kernels::cuda
