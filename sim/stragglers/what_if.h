// SPDX-License-Identifier: Apache-2.0
// What slowed a recorded job: its steps replayed on the step graph with the recorded durations,
// with ideal ones, and with either for one group of ops. Ideal = the mean over data ranks, stages
// and steps for computation, the median for communication. Definitions: modelling handbook §5.1
// after arXiv 2505.05713 (S, S_t, S_w, M_W, M_S); method and limits: docs/stragglers.md.
//
//   const WhatIf result = analyse_what_if(read_straggler_trace(path, degrees));
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "scenarios/units.h"
#include "sim/stragglers/straggler_trace.h"

namespace lindos::sim {

// What a group of ops does to the mean step.
struct WhatIfEffect {
  Seconds only{0};        // mean step when all ops are ideal but these
  Seconds without{0};     // mean step when only these are ideal
  double slowdown = 1.0;  // only / ideal
  // Share of the straggling time that making these ideal removes: (no_delay − without) / (no_delay
  // − ideal); above 1 or below 0 where effects of groups mask each other. Absent without
  // straggling.
  std::optional<double> recovery;
};

struct NamedEffect {
  std::string name;  // "0" for data rank or stage 0; an op type, sends and receives pooled
  WhatIfEffect effect;
};

struct RankEffect {
  std::int64_t rank = 0;  // as recorded
  int data_rank = 0;
  int stage = 0;
  double slowdown = 1.0;  // the lesser of those of its data rank and its stage
};

struct WhatIf {
  // Per step, in the order of StragglerTrace::steps.
  std::vector<Seconds> recorded;  // from the first start to the last end
  std::vector<Seconds> no_delay;  // recorded durations, every op at its earliest start
  std::vector<Seconds> ideal;
  Seconds mean_recorded{0};
  Seconds mean_no_delay{0};
  Seconds mean_ideal{0};
  double launch_slowdown = 1.0;  // recorded / no_delay
  double slowdown = 1.0;         // S = no_delay / ideal
  std::vector<NamedEffect> by_data_rank;
  std::vector<NamedEffect> by_stage;
  std::vector<NamedEffect> by_op_type;
  std::vector<RankEffect> by_rank;        // worst first
  std::vector<std::int64_t> worst_ranks;  // the worst 3 % of the recorded ranks, at least one
  WhatIfEffect worst_ranks_effect;        // its recovery is M_W
  WhatIfEffect last_stage_effect;         // its recovery is M_S
};

struct WhatIfHooks {
  std::function<void(double done)> progress;  // share of the replays, rising to 1
  std::function<bool()> cancelled;
};

// Replays the trace twice per data rank, stage and op type. Throws what build_step_graph() throws
// and Error{kCancelled}.
[[nodiscard]] WhatIf analyse_what_if(const StragglerTrace& trace, const WhatIfHooks& hooks = {});

}  // namespace lindos::sim
