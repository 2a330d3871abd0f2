// SPDX-License-Identifier: Apache-2.0
// What must end before what in one step of a recorded job: the graph of its ops, built from the
// first data rank and step and shared by all. Rules: modelling handbook §5.1, after "Understanding
// Stragglers in Large Model Training Using What-if Analysis" (arXiv 2505.05713) and its published
// analyser.
#pragma once

#include <cstddef>
#include <vector>

#include "sim/stragglers/straggler_trace.h"

namespace lindos::sim {

// Ops that are evaluated together: one local op, or the members of one transfer. An op starts when
// all of `after` have ended. A local op ends its duration later. A transfer begins when its last
// member has started; each member ends its own transfer time after that.
struct StepUnit {
  std::vector<std::size_t> members;  // indices of StragglerTrace::ops
  bool transfer = false;
  bool across_data_ranks = false;  // the members of every data rank take part
};

struct StepGraph {
  std::vector<std::vector<std::size_t>> after;  // [op]
  std::vector<StepUnit> units;                  // every op once; predecessors come first
};

// Throws Error{kInput} at the line of an op that contradicts the rules: sends and receives that do
// not pair, ops of one stream that overlap, a cyclic order.
[[nodiscard]] StepGraph build_step_graph(const StragglerTrace& trace);

}  // namespace lindos::sim
