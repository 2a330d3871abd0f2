// SPDX-License-Identifier: Apache-2.0
// Every way to cut and run a replica on each pool of a serving fleet and over two pools, priced: what load it bears under the
// promises, by power limit.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "scenarios/profile.h"
#include "scenarios/scenario.h"
#include "sim/fleet.h"
#include "sim/planner/pruned.h"
#include "sim/planner/serving_load.h"
#include "sim/planner/serving_point.h"
#include "sim/stage_work.h"

namespace lindos::sim {

// What a power limit may leave of a device's dynamic power: 100 to 25 % in steps of 7.5 %.
inline constexpr std::size_t kLimitSteps = 11;

// What replicas are judged by.
struct Judged {
  ServingWorkload workload;  // of a trace: of the lengths that it has, drawn apart; whose they are counts for nothing
  Slo slo;                   // the scenario's
  Slo strictest;             // of the scenario's and every tenant's: what screening holds
};
// Throws as fit_lengths.
[[nodiscard]] Judged judged(const Scenario& scenario);

// A shape with everything that prices it.
struct PricedShape {
  ServingShape shape;
  std::unique_ptr<ServingGroup> group;
  std::vector<std::int64_t> devices;             // of a replica, by pool of the cluster
  std::vector<Watts> limits;                     // of a device, by step; the first is what the plan and the caps of devices
                                                 // and racks leave it, over several pools the most of them
  std::array<double, kLimitSteps> screened{};    // requests per second, by limit
  ServingPoint point;                            // under the loosest limit
  std::array<std::optional<BorneLoad>, kLimitSteps> loads;  // simulated, by limit
  std::vector<Factors> sigmas;                   // of the draws
  bool given = false;                            // by the scenario's plan: nothing of it is chosen here
  // Simulated load where there is one, else the screened one as far off as it was at the loosest limit.
  [[nodiscard]] double rate(std::size_t step) const;
  [[nodiscard]] std::int64_t all_devices() const;
  [[nodiscard]] double rate_per_device() const { return rate(0) / static_cast<double>(all_devices()); }
};

// A shape of this group, with devices and limits, not screened yet.
[[nodiscard]] PricedShape priced_shape(const Scenario& scenario, const ServingShape& shape, std::unique_ptr<ServingGroup> group);
// One replica of the group alone, made ready to simulate; null with the reason when it does not fit.
[[nodiscard]] std::unique_ptr<ServingGroup> make_group(const Scenario& scenario, const GroupPlan& group,
                                                       const std::map<std::string, Profile>& profiles, std::string& reason);
// Screens a shape with its group and its limits, or under the loosest one alone. Returns the points priced.
enum class ScreenedLimits { kAll, kLoosest };
std::int64_t screen(PricedShape& shape, const Judged& by, ScreenedLimits limits = ScreenedLimits::kAll);

struct ScreenQuestion {
  std::vector<std::size_t> pools;
  std::vector<Dtype> dtypes;      // of weights
  bool apart = true;              // also replicas that only compute prompts or only decode
  // Of shapes over two pools only the best: what comes of them is simulated, or searched under many power limits.
  bool few_over = true;
  std::function<bool()> cancelled;
  std::function<void(double)> progress;
};

struct ServingScreen {
  std::vector<std::vector<PricedShape>> shapes;  // [pool of the cluster], those that keep the promises
  // Over two pools: those that bear more than their devices do in replicas of one pool that do the same part of the work;
  // if few per role and KV the one that bears most more, and one of each pair of pools that have no others.
  std::vector<PricedShape> over;
  std::int64_t tried = 0;
  std::int64_t points = 0;          // shape, limit and load
  double seconds = 0.0;             // wall time
  Pruned pruned;
  std::string nearest;              // of those that do not keep the promises
};

// Throws Error{kCancelled}.
[[nodiscard]] ServingScreen screen_shapes(const Scenario& scenario, const Judged& by,
                                          const std::map<std::string, Profile>& profiles, const ScreenQuestion& question);

}  // namespace lindos::sim
