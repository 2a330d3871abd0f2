// SPDX-License-Identifier: Apache-2.0
#include "sim/training/exchange_rings.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <unordered_map>
#include <utility>

namespace lindos::sim {

namespace {

// One stage of one replica in a ring.
struct Member {
  std::int64_t node = 0;
  std::int64_t unit = 0;  // array
  double lanes = 1.0;     // rings of ranks that run side by side through the stage
  double reduce = 0.0;    // bytes of one rank's buffers
  double gather = 0.0;
  double rate = 0.0;  // bytes/s of the ring's NICs on the node
  double link = 1.0;  // how much slower than nominal
};

// The members of one replica, in stage order.
using Replica = std::vector<Member>;

// Array that a node lies in: its rack where the pool has no arrays, itself where it has no racks.
std::int64_t array_of(const FleetTopology& fleet, std::int64_t node) {
  const PoolTopology& pool = fleet.pool_of(node);
  const std::int64_t per_unit = pool.nodes_per_array > 0
                                    ? pool.nodes_per_array
                                    : std::max<std::int64_t>(1, pool.nodes_per_rack);
  // The first node of the unit names it.
  return pool.first_node + (node - pool.first_node) / per_unit * per_unit;
}

class RingBuilder {
 public:
  RingBuilder(const TrainingJob& job, const Placement& placement, const StepDraw& draw)
      : job_(job), placement_(placement), draw_(draw), rings_(ring_count(job)) {
    std::int64_t replicas = 0;
    for (const GroupJob& group : job.groups) replicas += group.replicas;
    ranks_ = static_cast<double>(job.ranks_in_exchange);
    // Context ranks of one stage hold the same weights: they are neighbours in one lane.
    if (job.ranks_in_exchange % replicas == 0) context_ = job.ranks_in_exchange / replicas;
  }

  [[nodiscard]] ExchangeRing ring(std::size_t index) const {
    const std::vector<Replica> replicas = members(index);
    double link = 1.0;
    for (const Replica& replica : replicas) {
      for (const Member& member : replica) link = std::max(link, member.link);
    }
    // The group whose exchange is exposed for longest decides.
    Seconds all{0};
    Seconds window = Seconds::max();
    for (const GroupJob& group : job_.groups) {
      for (std::size_t s = 0; s < group.stages.size(); ++s) {
        if (ring_of(s, rings_) != index) continue;
        const GradientExchange& e = group.stages[s].exchange;
        const Seconds own = (e.reduce_time + e.gather_time) * link;
        if (own - e.hidden_window <= all - window) continue;
        all = own;
        window = e.hidden_window;
      }
    }
    std::vector<ExchangePhase> phases;
    if (job_.hierarchical_exchange) phases = hierarchical(replicas);
    if (phases.empty()) phases = flat(replicas);
    // start_up holds the phase's steps so far; all of it together is what the flows do not explain.
    double steps = 0.0;
    Seconds left = all;
    for (const ExchangePhase& phase : phases) {
      steps += phase.start_up.count();
      left -= phase.alone;
    }
    for (ExchangePhase& phase : phases)
      phase.start_up = std::max(Seconds{0}, left) * (phase.start_up.count() / steps);
    return split_at(phases, window);
  }

 private:
  // All replicas' stages of the ring, replicas in physical order.
  [[nodiscard]] std::vector<Replica> members(std::size_t ring) const {
    std::vector<Replica> replicas;
    std::unordered_map<std::int64_t, double> devices_on;  // node → the ring's devices there
    for (std::size_t g = 0; g < job_.groups.size(); ++g) {
      const GroupJob& group = job_.groups[g];
      for (std::int64_t r = 0; r < group.replicas; ++r) {
        Replica& replica = replicas.emplace_back();
        for (std::size_t s = 0; s < group.stages.size(); ++s) {
          if (ring_of(s, rings_) != ring) continue;
          const StageJob& stage = group.stages[s];
          Member member;
          member.node = placement_.node(g, r, s);
          member.unit = array_of(placement_.fleet(), member.node);
          member.lanes = static_cast<double>(std::max<std::int64_t>(1, stage.devices / context_));
          member.reduce = stage.exchange.reduce.value();
          // Without a sharded optimizer every rank gathers what was reduced: an all-reduce.
          member.gather =
              stage.exchange.gather.value() > 0.0 ? stage.exchange.gather.value() : member.reduce;
          member.link = link_of(g, r, s);
          member.rate = placement_.nic(g, s).value();
          devices_on[member.node] += static_cast<double>(stage.devices);
          replica.push_back(member);
        }
      }
    }
    for (Replica& replica : replicas) {
      for (Member& member : replica) member.rate *= devices_on[member.node] / member.link;
    }
    std::stable_sort(replicas.begin(), replicas.end(), [](const Replica& a, const Replica& b) {
      return a.front().node < b.front().node;
    });
    return replicas;
  }

  [[nodiscard]] double link_of(std::size_t g, std::int64_t r, std::size_t s) const {
    if (draw_.link.empty() || draw_.link[g].empty()) return 1.0;
    return static_cast<double>(
        draw_.link[g][static_cast<std::size_t>(r) * job_.groups[g].stages.size() + s]);
  }

  // From each stage of one replica to those of another that hold the same part of the model;
  // `share` of the reduce and gather buffers.
  void connect(ExchangePhase& phase, const Replica& from, const Replica& to, double reduce,
               double gather) const {
    const std::size_t a = from.size();
    const std::size_t b = to.size();
    for (std::size_t i = 0; i < a; ++i) {
      for (std::size_t j = i * b / a; j < b && j * a < (i + 1) * b; ++j) {
        if (placement_.fleet().same_domain(from[i].node, to[j].node)) continue;
        const std::size_t overlap = std::min((i + 1) * b, (j + 1) * a) - std::max(i * b, j * a);
        const double part = static_cast<double>(overlap) / static_cast<double>(b);
        const Bytes bytes(part * from[i].lanes *
                          (reduce * from[i].reduce + gather * from[i].gather));
        if (bytes.value() <= 0.0) continue;
        phase.flows.push_back(
            {from[i].node, to[j].node, bytes, BytesPerSecond(std::min(from[i].rate, to[j].rate))});
      }
    }
  }

  // A NIC that several flows pass shares itself out.
  static void close(ExchangePhase& phase, double steps) {
    std::unordered_map<std::int64_t, double> out;
    std::unordered_map<std::int64_t, double> in;
    for (const ExchangeFlow& flow : phase.flows) {
      const double busy = (flow.bytes / flow.rate).count();
      phase.alone =
          std::max({phase.alone, Seconds(out[flow.from] += busy), Seconds(in[flow.to] += busy)});
    }
    phase.start_up = Seconds(steps);
  }

  [[nodiscard]] std::vector<ExchangePhase> flat(const std::vector<Replica>& replicas) const {
    ExchangePhase phase;
    const double share = (ranks_ - 1.0) / ranks_;
    for (std::size_t i = 0; i < replicas.size(); ++i)
      connect(phase, replicas[i], replicas[(i + 1) % replicas.size()], share, share);
    close(phase, 1.0);
    return {phase};
  }

  // Empty when there is one array, or one replica in each.
  [[nodiscard]] std::vector<ExchangePhase> hierarchical(
      const std::vector<Replica>& replicas) const {
    std::map<std::int64_t, std::vector<const Replica*>> units;
    for (const Replica& replica : replicas) units[replica.front().unit].push_back(&replica);
    std::vector<const std::vector<const Replica*>*> order;
    std::size_t largest = 0;
    for (const auto& [name, unit] : units) {
      order.push_back(&unit);
      largest = std::max(largest, unit.size());
    }
    const auto count = static_cast<double>(order.size());
    if (order.size() < 2 || largest < 2) return {};
    ExchangePhase reduce;
    ExchangePhase between;
    ExchangePhase gather;
    for (std::size_t u = 0; u < order.size(); ++u) {
      const std::vector<const Replica*>& unit = *order[u];
      const std::vector<const Replica*>& next = *order[(u + 1) % order.size()];
      const auto size = static_cast<double>(unit.size());
      const double inside = (size - 1.0) / size;
      for (std::size_t i = 0; i < unit.size(); ++i) {
        const Replica& neighbour = *unit[(i + 1) % unit.size()];
        connect(reduce, *unit[i], neighbour, inside, 0.0);
        connect(gather, *unit[i], neighbour, 0.0, inside);
        // A member holds 1/size of the sums; a partial array's members hold more each.
        const double part = (count - 1.0) / count / size;
        connect(between, *unit[i], *next[i * next.size() / unit.size()], part, part);
      }
    }
    const auto inner_steps = static_cast<double>(largest) - 1.0;
    close(reduce, inner_steps);
    close(between, 2.0 * (count - 1.0));
    close(gather, inner_steps);
    return {reduce, between, gather};
  }

  const TrainingJob& job_;
  const Placement& placement_;
  const StepDraw& draw_;
  std::size_t rings_;
  double ranks_ = 1.0;
  std::int64_t context_ = 1;
};

}  // namespace

std::size_t ring_count(const TrainingJob& job) {
  const std::size_t depth = job.groups.front().stages.size();
  const bool same = std::all_of(job.groups.begin(), job.groups.end(),
                                [&](const GroupJob& g) { return g.stages.size() == depth; });
  return same ? depth : 1;
}

ExchangeRing split_at(const std::vector<ExchangePhase>& phases, Seconds window) {
  ExchangeRing ring;
  ring.window = window;
  const auto part_of = [](const ExchangePhase& phase, Seconds start_up, double part) {
    ExchangePhase some{start_up, {}, phase.alone * part};
    if (part <= 0.0) return some;
    some.flows = phase.flows;
    for (ExchangeFlow& flow : some.flows) flow.bytes = flow.bytes * part;
    return some;
  };
  for (const ExchangePhase& phase : phases) {
    const Seconds start_up = std::min(phase.start_up, window);
    window -= start_up;
    const Seconds alone = std::min(phase.alone, window);
    window -= alone;
    const double part = phase.alone.count() > 0.0 ? alone / phase.alone : 0.0;
    if (start_up + alone > Seconds{0}) ring.hidden.push_back(part_of(phase, start_up, part));
    if (start_up + alone < phase.start_up + phase.alone)
      ring.exposed.push_back(part_of(phase, phase.start_up - start_up, 1.0 - part));
  }
  return ring;
}

std::vector<ExchangeRing> exchange_rings(const TrainingJob& job, const Placement& placement,
                                         const StepDraw& draw) {
  const RingBuilder builder(job, placement, draw);
  std::vector<ExchangeRing> rings;
  const std::size_t count = ring_count(job);
  rings.reserve(count);
  for (std::size_t k = 0; k < count; ++k) rings.push_back(builder.ring(k));
  return rings;
}

}  // namespace lindos::sim
