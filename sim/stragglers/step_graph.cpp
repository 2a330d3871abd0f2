// SPDX-License-Identifier: Apache-2.0
#include "sim/stragglers/step_graph.h"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include <fmt/format.h>

namespace lindos::sim {

namespace {

using Ops = std::vector<std::size_t>;

// Clocks of ranks of one job agree to about this (the analyser's EPS of send and receive matching).
constexpr Seconds kClockError{5e-5};
// Ops of one stream whose records overlap by more than this did not run one after the other; it is
// the analyser's limit for time stamps that contradict the graph. AR and ST overlap by 0.12 ms at
// most.
constexpr Seconds kLargestOverlap{10e-3};

struct Direction {
  OpType compute, send, recv;
  int towards;  // +1: to the next stage
};
constexpr Direction kForward{OpType::kForwardCompute, OpType::kForwardSend, OpType::kForwardRecv,
                             +1};
constexpr Direction kBackward{OpType::kBackwardCompute, OpType::kBackwardSend,
                              OpType::kBackwardRecv, -1};

class Builder {
 public:
  explicit Builder(const StragglerTrace& trace) : trace_(trace) {
    graph_.after.resize(trace.ops.size());
    for (std::size_t op = 0; op < trace.ops.size(); ++op) {
      const TracedOp& traced = trace.ops[op];
      by_type_[{traced.stage, traced.type}].push_back(op);
    }
    for (int stage = 0; stage < trace.pipeline; ++stage) {
      computes_.push_back(by_start({OpType::kForwardCompute, OpType::kBackwardCompute}, stage));
      if (ops(OpType::kOptimizer, stage).empty()) {
        trace.fail(computes_.back().front(), 0,
                   fmt::format("stage {} has no optimizer op: a step ends with it", stage));
      }
    }
  }

  StepGraph build() {
    // Passes before transfers: one that is too long makes the count of its stage's sends wrong.
    for (int stage = 0; stage < trace_.pipeline; ++stage) {
      Ops serial = computes_[static_cast<std::size_t>(stage)];
      const Ops& optimizer = ops(OpType::kOptimizer, stage);
      serial.insert(serial.end(), optimizer.begin(), optimizer.end());
      refuse_overlap(std::move(serial));
    }
    // Transfers before the rest: what they pair decides which ops are alone.
    for (const Direction& direction : {kForward, kBackward}) pair_transfers(direction);
    join_stages(OpType::kEmbeddingGradsAllReduce, false);
    join_stages(OpType::kOptimizerClipMainGrad, true);
    for (int stage = 0; stage < trace_.pipeline; ++stage) {
      join_data_ranks(stage);
      follow(computes_[static_cast<std::size_t>(stage)]);
      delay_first_backward(stage);
      order_exchange(stage);
      order_end_of_step(stage);
    }
    order_units();
    return std::move(graph_);
  }

 private:
  [[nodiscard]] const Ops& ops(OpType type, int stage) const {
    static const Ops kNone;
    const auto found = by_type_.find({stage, type});
    return found == by_type_.end() ? kNone : found->second;
  }

  [[nodiscard]] Ops by_start(std::initializer_list<OpType> types, int stage) const {
    Ops all;
    for (const OpType type : types) {
      const Ops& some = ops(type, stage);
      all.insert(all.end(), some.begin(), some.end());
    }
    const auto key = [&](std::size_t op) {
      return std::tuple(trace_.start[op * trace_.lanes()], trace_.ops[op].sequence,
                        name_of(trace_.ops[op].type));
    };
    std::sort(all.begin(), all.end(),
              [&](std::size_t a, std::size_t b) { return key(a) < key(b); });
    return all;
  }

  [[nodiscard]] Seconds start(std::size_t op) const { return trace_.start[op * trace_.lanes()]; }
  [[nodiscard]] Seconds end(std::size_t op) const { return trace_.end(op, 0); }
  [[nodiscard]] std::int64_t line_of(std::size_t op, std::size_t lane) const {
    return trace_.line[op * trace_.lanes() + lane];
  }
  void require(std::size_t op, std::size_t before) { graph_.after[op].push_back(before); }

  // One stream: each op follows the one before it, in this order.
  void follow(const Ops& stream) {
    for (std::size_t i = 1; i < stream.size(); ++i) require(stream[i], stream[i - 1]);
  }

  void refuse_overlap(Ops stream) const {
    for (std::size_t lane = 0; lane < trace_.lanes(); ++lane) {
      const auto start_of = [&](std::size_t op) {
        return trace_.start[op * trace_.lanes() + lane];
      };
      std::stable_sort(stream.begin(), stream.end(),
                       [&](std::size_t a, std::size_t b) { return start_of(a) < start_of(b); });
      for (std::size_t i = 1; i < stream.size(); ++i) {
        const Seconds overlap = trace_.end(stream[i - 1], lane) - start_of(stream[i]);
        if (overlap <= kLargestOverlap) continue;
        trace_.fail(
            stream[i], lane,
            fmt::format("{} starts at {:.6g} s and overlaps {} (line {}), which ends at {:.6g} s, by {:.6g} s in "
                        "one stream",
                        trace_.label(stream[i]), start_of(stream[i]).count(), trace_.label(stream[i - 1]),
                        line_of(stream[i - 1], lane), trace_.end(stream[i - 1], lane).count(), overlap.count()));
      }
    }
  }

  void join(Ops members, bool across_data_ranks) {
    graph_.units.push_back({std::move(members), true, across_data_ranks});
  }

  // --- sends and receives between stages

  // The n-th op of each type whose data really moves pairs with the n-th of the neighbour.
  void pair_transfers(const Direction& direction) {
    std::vector<Ops> sends, recvs;
    for (int stage = 0; stage < trace_.pipeline; ++stage) {
      sends.push_back(attach_sends(direction, stage));
      recvs.push_back(attach_receives(direction, stage));
    }
    for (int stage = 0; stage < trace_.pipeline; ++stage) {
      const int peer = (stage + direction.towards + trace_.pipeline) % trace_.pipeline;
      const Ops& sent = sends[static_cast<std::size_t>(stage)];
      const Ops& received = recvs[static_cast<std::size_t>(peer)];
      if (sent.size() != received.size()) {
        refuse_impossible_times(direction.send, stage);
        refuse_impossible_times(direction.recv, peer);
        trace_.fail((sent.empty() ? received : sent).back(), 0,
                    fmt::format("stage {} has {} {} ops, stage {} has {} {} ops: they must pair",
                                stage, sent.size(), name_of(direction.send), peer, received.size(),
                                name_of(direction.recv)));
      }
      for (std::size_t i = 0; i < sent.size(); ++i) join({sent[i], received[i]}, false);
    }
  }

  // A send follows its compute. Sends that ended before the first compute are records of nothing.
  Ops attach_sends(const Direction& direction, int stage) {
    const Ops& computes = ops(direction.compute, stage);
    const Seconds first_end = end(computes.front());
    return attach(direction.send, stage, computes,
                  [&](std::size_t op) { return end(op) >= first_end - kClockError; });
  }

  // A receive precedes its compute and follows the compute before that; none follows the last.
  Ops attach_receives(const Direction& direction, int stage) {
    const Ops& computes = ops(direction.compute, stage);
    const Seconds last_start = start(computes.back());
    return attach(direction.recv, stage, computes,
                  [&](std::size_t op) { return start(op) <= last_start + kClockError; });
  }

  // Gives each recorded transfer its compute and returns those that have a peer. Transfers of the
  // outer edge of the first and last chunk move nothing, nor do records outside the passes.
  template <class Recorded>
  Ops attach(OpType type, int stage, const Ops& computes, const Recorded& is_recorded) {
    const bool receives = type == OpType::kForwardRecv || type == OpType::kBackwardRecv;
    const Ops& all = ops(type, stage);
    follow(all);
    Ops recorded, idle, moving;
    for (const std::size_t op : all) (is_recorded(op) ? recorded : idle).push_back(op);
    const bool edge = stage == 0 || stage == trace_.pipeline - 1;
    std::size_t first = 0;
    if (recorded.size() != computes.size()) {
      // The first receive of the first chunk, or the last send of the last one, may have no record.
      const bool one_less = recorded.size() + 1 == computes.size();
      if (!edge || (!recorded.empty() && !one_less)) {
        refuse_impossible_times(type, stage);
        refuse_count(type, stage, recorded, computes);
      }
      if (receives && one_less) first = 1;
    }
    for (std::size_t i = 0; i < recorded.size(); ++i) {
      const std::size_t op = recorded[i];
      const std::size_t compute = computes[first + i];
      if (receives) {
        require(compute, op);
        if (first + i > 0) require(op, computes[first + i - 1]);
      } else {
        require(op, compute);
        if (has_peer(type, compute)) refuse_early_end(op, compute);
      }
      (has_peer(type, compute) ? moving : idle).push_back(op);
    }
    for (const std::size_t op : idle) join({op}, false);
    refuse_overlap(moving);
    return moving;
  }

  // A send carries what its pass has made, so it cannot have ended before the pass did.
  void refuse_early_end(std::size_t send, std::size_t pass) const {
    for (std::size_t lane = 0; lane < trace_.lanes(); ++lane) {
      const Seconds early = trace_.end(pass, lane) - trace_.end(send, lane);
      if (early <= kLargestOverlap) continue;
      trace_.fail(send, lane,
                  fmt::format("{} ends at {:.6g} s, {:.6g} s before its pass does: {} (line {}) ends at {:.6g} s",
                              trace_.label(send), trace_.end(send, lane).count(), early.count(), trace_.label(pass),
                              line_of(pass, lane), trace_.end(pass, lane).count()));
    }
  }

  // Why transfers do not count up, when it is their times and not missing rows: some overlap, or a
  // send lies within the first pass and so looks like a record of nothing.
  void refuse_impossible_times(OpType type, int stage) const {
    const Ops& all = ops(type, stage);
    refuse_overlap(all);
    if (type != OpType::kForwardSend && type != OpType::kBackwardSend) return;
    const std::size_t first =
        ops(type == OpType::kForwardSend ? OpType::kForwardCompute : OpType::kBackwardCompute, stage).front();
    for (const std::size_t op : all) {
      if (start(op) > start(first) + kClockError) refuse_early_end(op, first);
    }
  }

  [[noreturn]] void refuse_count(OpType type, int stage, const Ops& recorded,
                                 const Ops& computes) const {
    trace_.fail((recorded.empty() ? computes : recorded).back(), 0,
                fmt::format("stage {} has {} {} ops for {} {} ops: some are missing", stage,
                            recorded.size(), name_of(type), computes.size(),
                            name_of(trace_.ops[computes.front()].type)));
  }

  [[nodiscard]] bool has_peer(OpType type, std::size_t compute) const {
    const int chunk = trace_.ops[compute].global_chunk;
    const bool upwards = type == OpType::kForwardSend || type == OpType::kBackwardRecv;
    return upwards ? chunk + 1 < trace_.virtual_stages * trace_.pipeline : chunk > 0;
  }

  // The first backward transfers follow the forward pass two before the first backward pass.
  void delay_first_backward(int stage) {
    const Ops& stream = computes_[static_cast<std::size_t>(stage)];
    const auto first = std::find_if(stream.begin(), stream.end(), [&](std::size_t op) {
      return trace_.ops[op].type == OpType::kBackwardCompute;
    });
    if (first - stream.begin() < 2) return;
    for (const OpType type : {OpType::kBackwardRecv, OpType::kBackwardSend}) {
      if (!ops(type, stage).empty()) require(ops(type, stage).front(), *(first - 2));
    }
  }

  // --- collectives

  // n-th op of each stage that has the type, joined.
  void join_stages(OpType type, bool across_data_ranks) {
    std::vector<Ops> groups;
    for (int stage = 0; stage < trace_.pipeline; ++stage) {
      const Ops& some = ops(type, stage);
      groups.resize(std::max(groups.size(), some.size()));
      for (std::size_t i = 0; i < some.size(); ++i) groups[i].push_back(some[i]);
    }
    for (Ops& group : groups) join(std::move(group), across_data_ranks);
  }

  void join_data_ranks(int stage) {
    for (const OpType type :
         {OpType::kParamsAllGather, OpType::kGradsReduceScatter, OpType::kSeparateGradsAllReduce}) {
      for (const std::size_t op : ops(type, stage)) join({op}, true);
    }
  }

  [[nodiscard]] bool overlaps_backward() const {
    return std::any_of(trace_.ops.begin(), trace_.ops.end(), [](const TracedOp& op) {
      return op.type == OpType::kSeparateGradsAllReduce;
    });
  }

  // All-gathers and reduce-scatters share a stream. The first forward pass of a chunk follows the
  // last all-gather of its parameters; an overlapped reduce-scatter follows the chunk's last
  // backward pass.
  void order_exchange(int stage) {
    const Ops exchange = by_start({OpType::kParamsAllGather, OpType::kGradsReduceScatter}, stage);
    follow(exchange);
    refuse_overlap(exchange);
    std::map<int, std::size_t> last_gather, first_reduce;
    for (const std::size_t op : ops(OpType::kParamsAllGather, stage)) {
      last_gather[chunk_of(op)] = op;
    }
    for (const auto& [chunk, gather] : last_gather) {
      require(pass_of(OpType::kForwardCompute, stage, chunk, gather, false), gather);
    }
    if (!overlaps_backward()) return;
    for (const std::size_t op : ops(OpType::kGradsReduceScatter, stage)) {
      first_reduce.emplace(chunk_of(op), op);
    }
    for (const auto& [chunk, reduce] : first_reduce) {
      require(reduce, pass_of(OpType::kBackwardCompute, stage, chunk, reduce, true));
    }
  }

  // A collective without a chunk number concerns the only chunk.
  [[nodiscard]] int chunk_of(std::size_t op) const {
    const int chunk = trace_.ops[op].chunk;
    return chunk < 0 && trace_.virtual_stages == 1 ? 0 : chunk;
  }

  // First or last pass of a chunk on a stage.
  [[nodiscard]] std::size_t pass_of(OpType type, int stage, int chunk, std::size_t asker,
                                    bool last) const {
    std::optional<std::size_t> found;
    for (const std::size_t op : ops(type, stage)) {
      if (trace_.ops[op].chunk != chunk) continue;
      if (!found || (last && end(op) > end(*found))) found = op;
    }
    if (!found) {
      trace_.fail(asker, 0,
                  fmt::format("{}: mc {} is no model chunk of its stage; expected 0 to {}",
                              trace_.label(asker), chunk, trace_.virtual_stages - 1));
    }
    return *found;
  }

  // After the last pass one op follows the other: garbage collection, gradients, clip, optimizer.
  void order_end_of_step(int stage) {
    const Ops& stream = computes_[static_cast<std::size_t>(stage)];
    const auto last =
        std::max_element(stream.begin(), stream.end(),
                         [&](std::size_t a, std::size_t b) { return end(a) < end(b); });
    Ops tail = {*last};
    const auto append = [&](OpType type) {
      const Ops& some = ops(type, stage);
      tail.insert(tail.end(), some.begin(), some.end());
    };
    append(OpType::kGc);
    const std::size_t first_gradient = tail.size();
    append(OpType::kLayernormGradsAllReduce);
    append(OpType::kEmbeddingGradsAllReduce);
    append(overlaps_backward() ? OpType::kSeparateGradsAllReduce : OpType::kGradsReduceScatter);
    append(OpType::kOptimizerClipMainGrad);
    append(OpType::kOptimizer);
    follow(tail);
    const Ops& reduces = ops(OpType::kGradsReduceScatter, stage);
    if (overlaps_backward() && !reduces.empty()) require(tail[first_gradient], reduces.back());
  }

  // --- order of evaluation

  void order_units() {
    constexpr std::size_t kNone = static_cast<std::size_t>(-1);
    std::vector<StepUnit>& units = graph_.units;
    std::vector<std::size_t> unit_of(trace_.ops.size(), kNone);
    for (std::size_t u = 0; u < units.size(); ++u) {
      for (const std::size_t op : units[u].members) unit_of[op] = u;
    }
    for (std::size_t op = 0; op < unit_of.size(); ++op) {
      if (unit_of[op] != kNone) continue;
      unit_of[op] = units.size();
      units.push_back({{op}, false, false});
    }
    std::vector<std::vector<std::size_t>> next(units.size());
    std::vector<std::size_t> waits_for(units.size(), 0);
    for (std::size_t op = 0; op < unit_of.size(); ++op) {
      for (const std::size_t before : graph_.after[op]) {
        next[unit_of[before]].push_back(unit_of[op]);
        ++waits_for[unit_of[op]];
      }
    }
    Ops order;
    for (std::size_t u = 0; u < units.size(); ++u) {
      if (waits_for[u] == 0) order.push_back(u);
    }
    for (std::size_t i = 0; i < order.size(); ++i) {
      for (const std::size_t u : next[order[i]]) {
        if (--waits_for[u] == 0) order.push_back(u);
      }
    }
    if (order.size() != units.size()) {
      const auto stuck = static_cast<std::size_t>(
          std::find_if(waits_for.begin(), waits_for.end(), [](std::size_t n) { return n > 0; }) -
          waits_for.begin());
      trace_.fail(units[stuck].members.front(), 0,
                  fmt::format("{} waits for itself: the recorded order of passes and transfers "
                              "contradicts itself",
                              trace_.label(units[stuck].members.front())));
    }
    std::vector<StepUnit> ordered;
    ordered.reserve(units.size());
    for (const std::size_t u : order) ordered.push_back(std::move(units[u]));
    units = std::move(ordered);
  }

  const StragglerTrace& trace_;
  StepGraph graph_;
  std::map<std::pair<int, OpType>, Ops> by_type_;
  std::vector<Ops> computes_;  // [stage], in order of start
};

}  // namespace

StepGraph build_step_graph(const StragglerTrace& trace) { return Builder(trace).build(); }

}  // namespace lindos::sim
