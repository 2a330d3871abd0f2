// SPDX-License-Identifier: Apache-2.0
#include "sim/nccl_model.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <optional>

#include "scenarios/error.h"

namespace lindos::sim {

namespace {

constexpr double kMicro = 1e-6;
constexpr double kGiga = 1e9;
constexpr std::size_t kProtocols = 3;
using ByProtocol = std::array<double, kProtocols>;  // LL, LL128, Simple
using ByNodes = std::array<double, 3>;              // 1, 2, 3 and more

// --- the tuner's constants (handbook §2.3): microseconds, GB/s ---
constexpr ByProtocol kTreeBase{6.8, 14.0, 8.4};
constexpr ByProtocol kRingBase{6.6, 14.0, 8.4};
constexpr double kPatBase = 8.0;
constexpr ByProtocol kTreeNvlink{0.6, 1.25, 4.0};
constexpr ByProtocol kRingNvlink{0.6, 1.9, 3.4};
constexpr ByProtocol kTreeNetwork{5.0, 8.5, 14.0};
constexpr ByProtocol kRingNetwork{2.7, 4.0, 14.0};
constexpr double kNvlsNvlink = 25.0;
constexpr double kNvlsTreeNetwork = 20.9;
constexpr double kPatPerRank = 2.8;
constexpr double kPatHopShare = 1.0 / 3.5;
constexpr double kPatBusShare = 0.75;
constexpr double kRingPlateau = 1.4;        // Simple all-reduce over the network,
constexpr double kRingPlateauBytes = 64.0;  // from this many bytes per channel and rank
constexpr double kPostOverhead = 1.0;       // of one send to the NIC; Simple needs three
constexpr double kPostOverheadAmd = 2.0;
constexpr double kRingLl128Share = 0.92;
constexpr double kRingLlShare = 0.5;
constexpr double kTreeShare = 0.92;
constexpr double kTreeLlShare = 1.0 / 3.8;
constexpr double kTreeLl128OneNode = 7.0 / 9.0;
constexpr double kTreeLl128 = 120.0 / 128.0;
constexpr ByNodes kLlBusIntel{39.0, 39.0, 20.4};  // several nodes: by CPU
constexpr ByNodes kLlBusAmd{87.7, 22.5, 19.0};
// Share of a tree's rate left at floor(log2(bytes / 64)) = 0, 1, …; 1 beyond.
constexpr std::size_t kTreeSteps = 23;
constexpr std::array<std::array<double, kTreeSteps>, kProtocols> kTreeShareBySize{{
    {1, 1, 1, 1, .9, .8, .7, .7, .7, .7, .6, .5, .4, .4, .5, .6, .7, .8, .9, 1, 1, 1, 1},
    {1, 1, 1, 1, 1, .9, .8, .8, .8, .7, .6, .6, .6, .6, .6, .6, .8, .9, .9, .9, .9, 1, 1},
    {.9, .9, .9, .9, .9, .9, .9, .8, .7, .6, .6, .5, .5, .5, .5, .6, .7, .8, .7, .7, .8, .9, .9},
}};

// --- fitted: t = fill + 2(n-1)/n · bytes / bus through published all-reduce rows of 512 MiB and
// more ---
struct NvlsFit {
  double nodes;
  double bus_share;  // of the NVLink rate, where NICs do not bound it
  double fill;       // microseconds
};
// 8 GPUs: Azure ND_H100_v5, 2.14 ms at 512 MiB, 31.39 ms at 8 GiB (Azure/AI-benchmarking-guide
// @8fd0c6e1); 8 nodes: 387 GB/s are the NICs', 0.25 ms the fill (coreweave/nccl-tests @cb865533).
constexpr std::array<NvlsFit, 2> kHopperFits{
    {{1, 481.0 / 450.0, 190.0}, {8, 481.0 / 450.0, 250.0}}};
// 1, 2 and 20 racks of 72: 859, 828 and 429 GB/s (coreweave/nccl-tests @cb865533, handbook §2.3).
constexpr std::array<NvlsFit, 3> kBlackwellFits{
    {{1, 859.0 / 900.0, 570.0}, {2, 828.0 / 900.0, 870.0}, {20, 429.0 / 900.0, 4600.0}}};
// A message fills the pipeline only as far as it is long: at most this many times its transfer.
// Largest ratio among the rows is 1.84 (20 racks, 512 MiB); below it nothing is published (assume).
constexpr double kFillPerTransfer = 2.0;

struct ArchConstants {
  double ring_share;        // of the NVLink rate that a ring reaches: 360 of 450, 700 of 900 GB/s
  double all_to_all_share;  // 315 of 450, 488 of 900 GB/s at 512 MiB (handbook §2.1)
  double all_to_all_start;  // microseconds; floors of the same tables, n = 2 to 8
  double all_to_all_peer;
  double ll_bus;       // one node
  double ring_ll128;   // per channel
  ByNodes tree;        // per channel
  ByNodes tree_ll128;  // per channel
  ByNodes nvls_tree;   // per channel
};
constexpr ArchConstants kHopper{
    360.0 / 450.0,      315.0 / 450.0,    6.2, 0.15, 141.0, 36.7, {38.7, 41.4, 36.0},
    {36.7, 36.7, 29.0}, {0.0, 57.7, 45.5}};
constexpr ArchConstants kBlackwell{
    700.0 / 900.0,       488.0 / 900.0,    9.4, 0.45, 282.0, 40.0, {70.0, 42.8, 24.0},
    {55.6, 31.67, 20.0}, {0.0, 96.0, 80.0}};

constexpr std::array<NcclProtocol, kProtocols> kAllProtocols{
    NcclProtocol::kLl, NcclProtocol::kLl128, NcclProtocol::kSimple};
std::size_t index(NcclProtocol protocol) { return static_cast<std::size_t>(protocol); }

double log2_floor(double x) { return x < 2.0 ? 0.0 : std::floor(std::log2(x)); }

template <std::size_t N>
NvlsFit between(const std::array<NvlsFit, N>& fits, double nodes) {
  const auto above =
      std::find_if(fits.begin(), fits.end(), [&](const NvlsFit& f) { return f.nodes >= nodes; });
  if (above == fits.end()) return fits.back();
  if (above == fits.begin()) return fits.front();
  const NvlsFit& low = *(above - 1);
  const double x = std::log(nodes / low.nodes) / std::log(above->nodes / low.nodes);
  return {nodes, low.bus_share * std::pow(above->bus_share / low.bus_share, x),
          low.fill * std::pow(above->fill / low.fill, x)};
}

// One group of ranks and what moves; microseconds, GB/s and bytes from here on.
class Tuner {
 public:
  Tuner(CollectiveOp op, double bytes, std::int64_t ranks, std::int64_t ranks_per_node,
        const NcclPaths& paths, NcclArch arch)
      : op_(op),
        bytes_(bytes),
        n_(static_cast<double>(ranks)),
        nodes_(std::ceil(n_ / static_cast<double>(ranks_per_node))),
        per_node_(n_ / nodes_),
        steps_(op == CollectiveOp::kAllReduce ? 2.0 * (n_ - 1.0) : n_ - 1.0),
        nvlink_(paths.intra.value() / kGiga),
        nic_(paths.inter.value() / kGiga),
        hop_(paths.hop_latency.count() / kMicro),
        channels_(paths.channels),
        post_(paths.amd_host ? kPostOverheadAmd : kPostOverhead),
        constants_(arch == NcclArch::kHopper ? kHopper : kBlackwell),
        fit_(arch == NcclArch::kHopper ? between(kHopperFits, nodes_)
                                       : between(kBlackwellFits, nodes_)),
        by_nodes_(std::min<std::size_t>(static_cast<std::size_t>(nodes_), 3) - 1),
        ll_bus_(nodes_ < 2.0 ? constants_.ll_bus
                             : (paths.amd_host ? kLlBusAmd : kLlBusIntel)[by_nodes_]),
        beyond_rows_(nodes_ > (arch == NcclArch::kHopper ? kHopperFits.back().nodes
                                                         : kBlackwellFits.back().nodes)) {
    LINDOS_ASSERT(per_node_ <= 1.0 || nvlink_ > 0.0, "ranks share a node without a link");
    LINDOS_ASSERT(nodes_ < 2.0 || nic_ > 0.0, "ranks span nodes without a network");
  }

  [[nodiscard]] CollectiveTime best() {
    if (op_ == CollectiveOp::kAllToAll) {
      pairwise();
    } else {
      for (const NcclProtocol p : kAllProtocols) {
        ring(p);
        if (op_ == CollectiveOp::kAllReduce) tree(p);
      }
      if (per_node_ >= 2.0) nvls();
      if (per_node_ == 1.0 && op_ != CollectiveOp::kAllReduce) pat();
    }
    CollectiveTime result = *best_;
    if (op_ == CollectiveOp::kAllReduce && per_node_ >= 2.0) hold_above_rows(result);
    result.extrapolated = beyond_rows_;
    return result;
  }

 private:
  // The published rows are the best of whatever NCCL ran, so no algorithm is quicker than their
  // line.
  void hold_above_rows(CollectiveTime& result) const {
    const double transfer = bytes_ * steps_ / n_ / (nvls_bus() * kGiga) / kMicro;
    const double row = transfer + std::min(fit_.fill, kFillPerTransfer * transfer);
    const double missing = row - result.time.count() / kMicro;
    if (missing <= 0.0) return;
    result.latency += Seconds(missing * kMicro);
    result.time += Seconds(missing * kMicro);
  }

  void offer(NcclAlgorithm algorithm, NcclProtocol protocol, double latency, double rate) {
    const double transfer = bytes_ / (rate * kGiga) / kMicro;
    if (best_ && best_->time.count() <= (latency + transfer) * kMicro) return;
    best_ = {Seconds((latency + transfer) * kMicro),
             Seconds(latency * kMicro),
             Seconds(transfer * kMicro),
             algorithm,
             protocol,
             false};
  }

  // All ranks of a node drive their NICs at once. The tuner counts with the NVLink rate on two
  // nodes, where a ring still crosses the NICs; and the fitted rows are the best of all algorithms,
  // so they bound a ring as well.
  [[nodiscard]] double ring_bus() const {
    if (per_node_ == 1.0) return nic_;
    const double inside = nvlink_ * constants_.ring_share;
    if (nodes_ < 2.0) return inside;
    return std::min({inside, per_node_ * nic_, nvlink_ * fit_.bus_share});
  }

  [[nodiscard]] double network_hop(double of_algorithm, NcclProtocol p) const {
    // The latency of the fabric counts twice for Simple, which flushes as well.
    return of_algorithm + hop_ * (p == NcclProtocol::kSimple ? 2.0 : 1.0);
  }

  void ring(NcclProtocol p) {
    const std::size_t i = index(p);
    double bus = ring_bus();
    if (p == NcclProtocol::kLl) bus = std::min(ll_bus_, bus * kRingLlShare);
    if (p == NcclProtocol::kLl128)
      bus = std::min(bus * kRingLl128Share, channels_ * constants_.ring_ll128);
    const double inter_steps =
        nodes_ < 2.0 ? 0.0 : (op_ == CollectiveOp::kAllReduce ? 2.0 : 1.0) * (nodes_ - 1.0);
    const double post = nodes_ < 2.0 ? 0.0 : post_ * (p == NcclProtocol::kSimple ? 3.0 : 1.0);
    const double hop = network_hop(per_node_ == 1.0 ? kTreeNetwork[i] : kRingNetwork[i], p);
    double latency =
        kRingBase[i] + (steps_ - inter_steps) * std::max(kRingNvlink[i], post) + inter_steps * hop;
    if (p == NcclProtocol::kSimple && op_ == CollectiveOp::kAllReduce && nodes_ > 1.0 &&
        bytes_ / (channels_ * n_) >= kRingPlateauBytes) {
      latency *= kRingPlateau;
    }
    offer(NcclAlgorithm::kRing, p, latency, bus * n_ / steps_);
  }

  [[nodiscard]] double share_by_size(NcclProtocol p) const {
    const double step = log2_floor(bytes_ / 64.0);
    return step < static_cast<double>(kTreeSteps)
               ? kTreeShareBySize[index(p)][static_cast<std::size_t>(step)]
               : 1.0;
  }

  void tree(NcclProtocol p) {
    const std::size_t i = index(p);
    double bus = std::min(ring_bus() * kTreeShare, channels_ * constants_.tree[by_nodes_]);
    if (p == NcclProtocol::kLl) bus = std::min(bus * kTreeLlShare, ll_bus_);
    if (p == NcclProtocol::kLl128) {
      bus = std::min(bus * (nodes_ < 2.0 ? kTreeLl128OneNode : kTreeLl128),
                     channels_ * constants_.tree_ll128[by_nodes_]);
    }
    const double latency =
        kTreeBase[i] + 2.0 * ((per_node_ - 1.0) * kTreeNvlink[i] +
                              log2_floor(nodes_) * network_hop(kTreeNetwork[i], p));
    offer(NcclAlgorithm::kTree, p, latency, bus / 2.0 * share_by_size(p));
  }

  // Multicast and reduction in the NVLink switch; a tree of such nodes for all-reduce over several.
  // The tuner allows gather and scatter only inside a node (beyond, they need CollNet).
  void nvls() {
    const NcclProtocol p = NcclProtocol::kSimple;
    if (op_ != CollectiveOp::kAllReduce) {
      if (nodes_ > 1.0) return;
      offer(NcclAlgorithm::kNvls, p, kNvlsNvlink, nvls_bus() * 0.5 * (per_node_ - 1.0) / per_node_);
      return;
    }
    double latency = kNvlsNvlink;
    if (nodes_ > 1.0) latency += 2.0 * log2_floor(nodes_) * network_hop(kNvlsTreeNetwork, p);
    offer(nodes_ > 1.0 ? NcclAlgorithm::kNvlsTree : NcclAlgorithm::kNvls, p, latency,
          nvls_bus() * n_ / steps_);
  }

  // Of an all-reduce: the fitted rate, and over several nodes the NICs (used in both directions by
  // a tree of two) and the tuner's bound per channel.
  [[nodiscard]] double nvls_bus() const {
    const double inside = nvlink_ * fit_.bus_share;
    if (nodes_ < 2.0) return inside;
    return std::min({inside, per_node_ * nic_ * (nodes_ <= 2.0 ? 2.0 : 1.0),
                     channels_ * constants_.nvls_tree[by_nodes_]});
  }

  // One rank per node: a binomial exchange with a part that is still linear in ranks.
  void pat() {
    const NcclProtocol p = NcclProtocol::kSimple;
    const double latency =
        kPatBase + log2_floor(nodes_) * network_hop(kTreeNetwork[index(p)], p) * kPatHopShare +
        n_ * kPatPerRank;
    offer(NcclAlgorithm::kPat, p, latency, ring_bus() * kPatBusShare);
  }

  // Sends and receives between all pairs; local and remote bytes move side by side.
  void pairwise() {
    const double local = bytes_ * (per_node_ - 1.0) / n_;
    const double remote = bytes_ * (n_ - per_node_) / n_;
    const double local_time =
        local > 0.0 ? local / (nvlink_ * constants_.all_to_all_share * kGiga) / kMicro : 0.0;
    const double remote_time = remote > 0.0 ? remote / (nic_ * kGiga) / kMicro : 0.0;
    double latency = constants_.all_to_all_start + (per_node_ - 1.0) * constants_.all_to_all_peer;
    if (nodes_ > 1.0) {
      const NcclProtocol p = NcclProtocol::kSimple;
      latency += network_hop(kRingNetwork[index(p)], p) + (n_ - per_node_) * post_;
    }
    const double transfer = std::max(local_time, remote_time);
    best_ = {Seconds((latency + transfer) * kMicro),
             Seconds(latency * kMicro),
             Seconds(transfer * kMicro),
             NcclAlgorithm::kPairwise,
             NcclProtocol::kSimple,
             false};
  }

  CollectiveOp op_;
  double bytes_;
  double n_;
  double nodes_;
  double per_node_;
  double steps_;
  double nvlink_;
  double nic_;
  double hop_;
  double channels_;
  double post_;
  const ArchConstants& constants_;
  NvlsFit fit_;
  std::size_t by_nodes_;
  double ll_bus_;
  bool beyond_rows_;
  std::optional<CollectiveTime> best_;
};

}  // namespace

const char* name_of(CollectiveOp op) {
  switch (op) {
    case CollectiveOp::kAllReduce:
      return "all_reduce";
    case CollectiveOp::kAllGather:
      return "all_gather";
    case CollectiveOp::kReduceScatter:
      return "reduce_scatter";
    case CollectiveOp::kAllToAll:
      return "all_to_all";
  }
  return "";
}

const char* name_of(NcclAlgorithm algorithm) {
  switch (algorithm) {
    case NcclAlgorithm::kTree:
      return "Tree";
    case NcclAlgorithm::kRing:
      return "Ring";
    case NcclAlgorithm::kNvls:
      return "NVLS";
    case NcclAlgorithm::kNvlsTree:
      return "NVLSTree";
    case NcclAlgorithm::kPat:
      return "PAT";
    case NcclAlgorithm::kPairwise:
      return "pairwise";
  }
  return "";
}

const char* name_of(NcclProtocol protocol) {
  switch (protocol) {
    case NcclProtocol::kLl:
      return "LL";
    case NcclProtocol::kLl128:
      return "LL128";
    case NcclProtocol::kSimple:
      return "Simple";
  }
  return "";
}

NcclArch nccl_arch(const Device& device) {
  return device.compute_capability >= 100 ? NcclArch::kBlackwell : NcclArch::kHopper;
}

NcclPaths nccl_paths(const Device& device, const Fabric& fabric) {
  NcclPaths paths;
  paths.intra = device.scale_up_bandwidth;
  paths.inter = device.scale_out_bandwidth * fabric.efficiency;
  paths.hop_latency = fabric.hop_latency;
  return paths;
}

CollectiveTime nccl_time(CollectiveOp op, Bytes full_buffer, std::int64_t ranks,
                         std::int64_t ranks_per_node, const NcclPaths& paths, NcclArch arch) {
  LINDOS_ASSERT(ranks_per_node >= 1, "a node holds at least one rank");
  if (ranks < 2 || full_buffer.value() <= 0.0) return {};
  return Tuner(op, full_buffer.value(), ranks, ranks_per_node, paths, arch).best();
}

double bus_factor(CollectiveOp op, std::int64_t ranks) {
  const double n = static_cast<double>(ranks);
  return (op == CollectiveOp::kAllReduce ? 2.0 : 1.0) * (n - 1.0) / n;
}

Seconds ring_time(CollectiveOp op, Bytes full_buffer, std::int64_t ranks, Seconds start,
                  BytesPerSecond bus) {
  return start + full_buffer * bus_factor(op, ranks) / bus;
}

}  // namespace lindos::sim
