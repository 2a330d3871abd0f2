// SPDX-License-Identifier: Apache-2.0
// Jobs whose reliability can be worked out by hand: one pool, one or few fault classes.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sim/reliability/reliability_input.h"

namespace lindos::sim::testing {

// 419 unexpected interruptions in 54 days on 16,384 GPUs (arXiv 2407.21783), per GPU and second.
inline constexpr double kAnchorRate = 419.0 / (54.0 * 86400.0 * 16384.0);

// `nodes` nodes of 8 GPUs in one replica, no spares; faults of software only, so that no node
// leaves.
inline ReliabilityInput software_faults_only(std::int64_t nodes, Seconds blocking, Seconds outage) {
  ReliabilityInput input;
  input.process.pools = {{"a", "gpu", 8, nodes, 0}};
  input.process.sources = {
      {"software", 0, FaultScope::kDevice, Hertz(kAnchorRate), nodes * 8, 1, Seconds{0}}};
  input.groups = {{"a", 1, {nodes * 8}}};
  input.checkpoint.blocking = blocking;
  input.step = Seconds{1};
  input.restart = outage;
  return input;
}

// One replica on `job` nodes beside `spares`; every node fails at `rate` and is repaired in
// `repair` on average.
inline ReliabilityInput node_faults(std::int64_t job, std::int64_t spares, Hertz rate,
                                    Seconds repair) {
  ReliabilityInput input;
  input.process.pools = {{"a", "gpu", 8, job, spares}};
  input.process.sources = {{"node", 0, FaultScope::kNode, rate, job + spares, 1, repair}};
  input.groups = {{"a", 1, {job * 8}}};
  input.checkpoint.blocking = Seconds{5};
  input.step = Seconds{1};
  input.restart = Seconds{300};
  return input;
}

struct Sample {
  double mean = 0.0;
  double standard_error = 0.0;
};

template <class Run>
Sample sample_of(const std::vector<Run>& runs, const std::function<double(const Run&)>& value) {
  double sum = 0.0;
  double squares = 0.0;
  for (const Run& run : runs) sum += value(run);
  const auto n = static_cast<double>(runs.size());
  for (const Run& run : runs) squares += std::pow(value(run) - sum / n, 2);
  return {sum / n, std::sqrt(squares / (n - 1.0) / n)};
}

}  // namespace lindos::sim::testing
