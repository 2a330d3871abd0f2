// SPDX-License-Identifier: Apache-2.0
#include "sim/training/pass_messages.h"

#include <algorithm>

namespace lindos::sim {

namespace {

// One sender's possible use of a pool.
struct Use {
  LinkId pool = 0;
  std::int64_t from = 0;
  double rate = 0.0;
};

bool sends_to_experts(const StageJob& stage) {
  return std::any_of(stage.chunks.begin(), stage.chunks.end(),
                     [](const ChunkWork& chunk) { return chunk.expert_message.value() > 0.0; });
}

}  // namespace

Wire wire_of(const GroupJob& group, std::size_t from, bool backward) {
  const std::size_t stages = group.stages.size();
  const std::size_t to = (from + (backward ? stages - 1 : 1)) % stages;
  const Interconnect& path = group.stages[backward ? to : from].next;
  return {to, path.alpha, path.bandwidth * static_cast<double>(group.stages[from].devices)};
}

std::vector<std::int64_t> expert_peers(const TrainingJob& job, const Placement& placement,
                                       std::size_t group, std::int64_t replica, std::size_t stage) {
  const GroupJob& g = job.groups[group];
  std::vector<std::int64_t> peers;
  if (g.expert_replicas < 2 || !sends_to_experts(g.stages[stage])) return peers;
  const std::int64_t first = replica / g.expert_replicas * g.expert_replicas;
  const std::int64_t size = std::min(g.expert_replicas, g.replicas - first);
  const std::int64_t own = placement.node(group, replica, stage);
  for (std::int64_t distance = 1; distance < size; ++distance) {
    const std::int64_t peer = first + (replica - first + distance) % size;
    if (!placement.fleet().same_domain(own, placement.node(group, peer, stage)))
      peers.push_back(peer);
  }
  return peers;
}

void for_each_message(
    const TrainingJob& job, const Placement& placement, std::size_t group, std::int64_t replica,
    const std::function<void(std::int64_t, std::int64_t, BytesPerSecond)>& visit) {
  const GroupJob& g = job.groups[group];
  const std::size_t stages = g.stages.size();
  for (std::size_t s = 0; s < stages; ++s) {
    const std::int64_t from = placement.node(group, replica, s);
    const BytesPerSecond nics = placement.nic(group, s) * static_cast<double>(g.stages[s].devices);
    for (const bool backward : {false, true}) {
      const bool wraps = backward ? s == 0 : s + 1 == stages;
      if (stages == 1 || (wraps && g.virtual_stages == 1)) continue;
      const Wire wire = wire_of(g, s, backward);
      const std::int64_t to = placement.node(group, replica, wire.to);
      if (!placement.fleet().same_domain(from, to)) visit(from, to, std::min(wire.rate, nics));
    }
    for (const std::int64_t peer : expert_peers(job, placement, group, replica, s))
      visit(from, placement.node(group, peer, s), nics);
  }
}

std::vector<bool> contended_pools(const TrainingJob& job, const Placement& placement,
                                  const std::vector<ExchangeRing>& rings) {
  const FleetTopology& fleet = placement.fleet();
  std::vector<Use> uses;
  const auto note = [&](std::int64_t from, std::int64_t to, BytesPerSecond rate) {
    for (const LinkId link : fleet.path(from, to)) {
      if (fleet.is_shared(link)) uses.push_back({link, from, rate.value()});
    }
  };
  for (const ExchangeRing& ring : rings) {
    for (const auto* phases : {&ring.hidden, &ring.exposed}) {
      for (const ExchangePhase& phase : *phases) {
        for (const ExchangeFlow& flow : phase.flows) note(flow.from, flow.to, flow.rate);
      }
    }
  }
  for (std::size_t g = 0; g < job.groups.size(); ++g) {
    for (std::int64_t r = 0; r < job.groups[g].replicas; ++r)
      for_each_message(job, placement, g, r, note);
  }
  std::sort(uses.begin(), uses.end(), [](const Use& a, const Use& b) {
    return a.pool != b.pool ? a.pool < b.pool : a.from < b.from;
  });
  std::vector<bool> contended(fleet.links(), false);
  double demand = 0.0;  // on the pool
  for (std::size_t i = 0; i < uses.size();) {
    const Use& first = uses[i];
    if (i == 0 || uses[i - 1].pool != first.pool) demand = 0.0;
    // One node's messages share its NICs; a bundle's fastest message has them all.
    double sum = 0.0;
    double nics = fleet.capacity(static_cast<LinkId>(first.from)).value();
    for (; i < uses.size() && uses[i].pool == first.pool && uses[i].from == first.from; ++i) {
      sum += uses[i].rate;
      nics = std::max(nics, uses[i].rate);
    }
    demand += std::min(sum, nics);
    if (demand > fleet.capacity(first.pool).value() * (1.0 + 1e-9)) contended[first.pool] = true;
  }
  return contended;
}

std::vector<bool> contended_replicas(const std::vector<bool>& pools, const TrainingJob& job,
                                     const Placement& placement, std::size_t group) {
  const GroupJob& g = job.groups[group];
  std::vector<bool> found(static_cast<std::size_t>(g.replicas), false);
  if (std::find(pools.begin(), pools.end(), true) == pools.end()) return found;
  for (std::int64_t first = 0; first < g.replicas; first += g.expert_replicas) {
    const std::int64_t last = std::min(g.replicas, first + g.expert_replicas);
    bool any = false;
    for (std::int64_t r = first; r < last && !any; ++r) {
      for_each_message(job, placement, group, r,
                       [&](std::int64_t from, std::int64_t to, BytesPerSecond) {
                         for (const LinkId link : placement.fleet().path(from, to))
                           any = any || pools[link];
                       });
    }
    std::fill(found.begin() + first, found.begin() + last, any);
  }
  return found;
}

}  // namespace lindos::sim
