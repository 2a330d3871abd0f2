// SPDX-License-Identifier: Apache-2.0
// What one pipeline stage does in one step, priced: per rank its ops in segments that end at a
// collective, so that the stage's time is Σ over segments of (slowest rank) + collectives. Scaled
// by systematic factors when a draw asks for it, and booked to the ledger op by op.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <vector>

#include "scenarios/ledger.h"
#include "scenarios/ops.h"
#include "scenarios/units.h"
#include "sim/operator_cost.h"

namespace lindos::sim {

// All figures × Op::count.
struct PricedOp {
  Family family = Family::kStream;
  Tier tier = Tier::kAnalytic;
  std::size_t segment = 0;
  Seconds time{0};
  Flop flop{0};
  Bytes bytes{0};
  Bytes cold{0};  // weights and KV among the bytes: what MBU counts
  Watts power{0};  // as Priced::power
};

struct Collective {
  Seconds time{0};  // that no computation hides
  Tier tier = Tier::kAnalytic;
  Cause cause = Cause::kExposedTensor;
};

// What the ledger needs to know of a rank.
struct RankCeiling {
  std::size_t device = 0;  // index into Draw::devices
  FlopPerSecond peak{0};   // this rank's share of its device
  BytesPerSecond bandwidth{0};
  Watts added_limit{0};    // what the board's limit leaves above idle power
  // What the caps of the cluster leave above idle power; infinite where they leave what the board's limit does.
  Watts added_cap{std::numeric_limits<double>::infinity()};
  double power_sigma = 0.0;  // of log(StageWork::added)
  [[nodiscard]] bool capped() const { return added_cap.value() < std::numeric_limits<double>::infinity(); }
};

struct StageWork {
  std::vector<std::vector<PricedOp>> ranks;  // [rank], ascending by segment
  std::vector<Collective> collectives;       // [segment]; the last segment may end without one
  double sigma = 0.0;      // of log(time), of all kernels and collectives together (composition.h)
  std::vector<Joules> added;  // [rank], to idle power × time (power_model.h); empty where power is not known
};

// The ops of the stage's ranks, each in execution order, priced and cut into segments. All ranks meet in the
// same collectives; the slowest price counts. A message that runs beside the op after it is exposed as far as it
// outlasts that op; one in tiles but for its first tile as far as it outlasts the GEMM beside it.
using PriceOp = std::function<Priced(std::size_t rank, const Op& op)>;
[[nodiscard]] StageWork make_stage_work(const std::vector<std::vector<Op>>& ranks, const PriceOp& price);

// One outcome of everything systematic, per device type: a time factor of each family, and by how many
// sigmas of StageWork the whole machine is slower. Empty = the centre.
using Factors = std::array<double, kFamilyCount>;
struct Draw {
  std::vector<Factors> devices;
  std::vector<double> machines;  // as many as devices
  double power = 0.0;            // by how many sigmas of the power model work costs more energy
  [[nodiscard]] double factor(std::size_t device, Family family, double sigma = 0.0) const {
    if (devices.empty()) return 1.0;
    const double own = devices[device][static_cast<std::size_t>(family)];
    return sigma == 0.0 ? own : own * std::exp(sigma * machines[device]);
  }
};

// Sums behind the metrics and the uncertainty of a run.
struct WorkTotals {
  Bytes cold{0};              // weights and KV read, all ranks
  Seconds speed_of_light{0};  // Σ over ops of max(FLOP/peak, bytes/bandwidth)
  Seconds busy{0};            // Σ over ops of their time
  Joules added{0};            // Σ over steps and ranks, to idle power × time; 0 where power is not known
  // Σ time by family and tier, collectives counted once per stage.
  std::array<std::array<double, kTierCount>, kFamilyCount> seconds{};
  // Adds `part`, times `weight`.
  void add(const WorkTotals& part, double weight);
};

// The relative clock down to which an op keeps its pace: what its arithmetic takes of its memory time, at most 1. Below it
// the op takes bound / clock as long.
[[nodiscard]] double clock_bound(const PricedOp& op, const RankCeiling& rank);
// What a step that would add `wanted` to idle power × span may keep of its clock under the rank's cap; 1 where that holds.
[[nodiscard]] double capped_clock(Joules wanted, Seconds span, const RankCeiling& rank, const Draw& draw);
// What such a step adds at most, in the power model's own energy: the draw's factor comes later.
[[nodiscard]] Joules capped_energy(Joules wanted, Seconds span, const RankCeiling& rank, const Draw& draw);

// From the start of the step on this stage until its output is ready to be sent, slowed by the caps: ranks on one kind of
// device keep one clock, the lowest that a cap asks of any of them, since all wait for the slowest.
[[nodiscard]] Seconds compute_time(const StageWork& work, const std::vector<RankCeiling>& ranks,
                                   const Draw& draw);
// Books that time, rank by rank: kernels, what caps add to them, waits for slower ranks (straggler mix), collectives
// (by their cause), sampling (host overhead). Sums to compute_time × Σ peaks. Returns what the step adds to idle power × time.
Joules book(const StageWork& work, const std::vector<RankCeiling>& ranks, const Draw& draw,
          Ledger& ledger, WorkTotals& totals);

}  // namespace lindos::sim
