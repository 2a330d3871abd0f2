// SPDX-License-Identifier: Apache-2.0
// Time of one collective over several nodes by NCCL's own cost model: every algorithm and protocol
// that is enabled costs latency + bytes / rate, and the least of them runs (NVIDIA/nccl @5067397,
// src/graph/tuning.cc; constants in modelling handbook §2.3). Two things the tuner does not know
// are fitted from published all-reduce rows: the bus that NVLink-SHARP reaches and the time its
// pipeline takes to fill. A "node" is one NVLink domain: 8 GPUs of a Hopper server, 72 of an NVL72
// rack. SHARP in the switches of the scale-out fabric (CollNet) is not modelled. Pure functions.
//
//   const NcclPaths paths = nccl_paths(device, fabric);
//   nccl_time(CollectiveOp::kAllReduce, Bytes(8.6e9), 64, 8, paths, NcclArch::kHopper).time;
#pragma once

#include <cstdint>

#include "scenarios/hardware.h"
#include "scenarios/units.h"

namespace lindos::sim {

enum class CollectiveOp { kAllReduce, kAllGather, kReduceScatter, kAllToAll };
[[nodiscard]] const char* name_of(CollectiveOp op);  // "all_reduce", …

enum class NcclAlgorithm { kTree, kRing, kNvls, kNvlsTree, kPat, kPairwise };
enum class NcclProtocol { kLl, kLl128, kSimple };
[[nodiscard]] const char* name_of(NcclAlgorithm algorithm);
[[nodiscard]] const char* name_of(NcclProtocol protocol);

enum class NcclArch { kHopper, kBlackwell };
// By compute capability: 100 and above are Blackwell.
[[nodiscard]] NcclArch nccl_arch(const Device& device);

// What the ranks of one group are joined by; all rates one way per rank.
struct NcclPaths {
  BytesPerSecond intra{0};  // NVLink
  BytesPerSecond inter{0};  // the rank's NIC, as delivered (46-48 GB/s of 400 Gb/s)
  int channels = 16;  // assume: NCCL opens 16 to 24 on NVLink systems; bounds LL128 and trees only
  Seconds hop_latency{0};  // of the fabric beyond the network latency that the tuner counts with
  bool amd_host = false;   // the tuner bounds LL and posts sends by CPU vendor
  bool operator==(const NcclPaths&) const = default;
};
// NVLink and NIC of the catalogue, the NIC times the fabric's efficiency.
[[nodiscard]] NcclPaths nccl_paths(const Device& device, const Fabric& fabric);

struct CollectiveTime {
  Seconds time{0};      // latency + transfer
  Seconds latency{0};   // start, hops, and filling the pipeline
  Seconds transfer{0};  // bytes over the algorithm's rate
  NcclAlgorithm algorithm = NcclAlgorithm::kRing;
  NcclProtocol protocol = NcclProtocol::kSimple;
  bool extrapolated = false;  // over more nodes than any published row of this architecture
};

// `full_buffer`: input of all-reduce and reduce-scatter, output of all-gather, what one rank sends
// in an all-to-all (its own part included). ranks < 2 costs nothing. Ranks that do not fill all
// nodes are spread evenly over ceil(ranks / ranks_per_node). REQUIRES: ranks_per_node >= 1,
// paths.intra > 0 when ranks share a node, paths.inter > 0 when they span several.
[[nodiscard]] CollectiveTime nccl_time(CollectiveOp op, Bytes full_buffer, std::int64_t ranks,
                                       std::int64_t ranks_per_node, const NcclPaths& paths,
                                       NcclArch arch);

// Bytes that cross the busiest link over the full buffer: 2(n-1)/n of an all-reduce, (n-1)/n of the
// rest (nccl-tests, doc/PERFORMANCE.md).
[[nodiscard]] double bus_factor(CollectiveOp op, std::int64_t ranks);
// The two-parameter form: start + bus_factor · full_buffer / bus.
[[nodiscard]] Seconds ring_time(CollectiveOp op, Bytes full_buffer, std::int64_t ranks,
                                Seconds start, BytesPerSecond bus);

}  // namespace lindos::sim
