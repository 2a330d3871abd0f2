// SPDX-License-Identifier: Apache-2.0
// Screening of serving: what load one replica bears under the promises, as mean field. The engine's decode-first
// scheduler shares every step between decodes and prompt chunks, so that with D(b) the time of a decode step of b
// sequences and P that of a prompt, per token a request waits
//   tau(b) = D(b) + b P / (o − 1)      and      rate(b) = b / ((o − 1) tau(b))       (Little's law; o output tokens)
// A prompt waits as in M/G/1 for the prompts before it; every step that carries a part of it carries D(b) as well.
// A replica that only computes prompts has b = 0 and nothing but that queue; one that only decodes has P = 0, and its
// tokens wait for the KV to come: τ(b) = D(b) + K / (o − 1) with K the time of the transfer and its queue.
// Queues and unequal requests are rough here: what wins is simulated request by request before it is ranked.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "scenarios/plan.h"
#include "scenarios/profile.h"
#include "scenarios/scenario.h"
#include "scenarios/workload.h"
#include "sim/fleet.h"
#include "sim/replica_model.h"
#include "sim/stage_work.h"

namespace lindos::sim {

// The last stages of a replica that spans two pools.
struct OtherStages {
  std::size_t pool = 0;              // index into the cluster's pools
  std::int64_t tensor = 1;
  int stages = 1;
  std::int64_t layers_before = 0;    // of the model, on the first stages together
  std::int64_t layers = 0;           // on these
  auto operator<=>(const OtherStages&) const = default;
};

// How one replica is cut and run. Takes tensor × stages devices of its pool, and those of its other stages.
struct ServingShape {
  std::size_t pool = 0;              // index into the cluster's pools
  std::int64_t tensor = 1;
  int stages = 1;
  Dtype weights = Dtype::kBf16;
  Dtype kv = Dtype::kBf16;
  std::int64_t budget = 8192;        // tokens of one step
  Role role = Role::kBoth;
  Bytes kv_offload{0};               // host memory of a replica for KV blocks
  bool dealt = false;                // routed experts lie whole on the ranks, not in columns
  std::optional<OtherStages> other = std::nullopt;  // on another pool
  [[nodiscard]] std::int64_t devices() const { return tensor * stages + (other ? other->tensor * other->stages : 0); }
  [[nodiscard]] std::int64_t devices_in(std::size_t its_pool) const {
    return (its_pool == pool ? tensor * stages : 0) + (other && its_pool == other->pool ? other->tensor * other->stages : 0);
  }
  bool operator==(const ServingShape&) const = default;
  // In order of the fields.
  bool operator<(const ServingShape& b) const;
};

// "TP8 bf16, steps of 8192 tokens"; "TP8 with 50 layers and TP4 with 30 bf16, …".
[[nodiscard]] std::string text_of(const ServingShape& shape);
// "TP8", "TP4 PP4 prompts", "one device decodes", "TP8 and TP4".
[[nodiscard]] std::string short_text_of(const ServingShape& shape);
// "h100", "h100 and h200".
[[nodiscard]] std::string pools_text(const Scenario& scenario, const ServingShape& shape);
// The scenario's own group on this pool, whose limits shapes there take over; else its first one; null without any.
[[nodiscard]] const GroupPlan* pattern_of(const Scenario& scenario, const std::string& pool);
[[nodiscard]] GroupPlan group_of(const Scenario& scenario, const ServingShape& shape, std::int64_t replicas);

// What a replica of this role is held to. Where a request keeps both promises only if two replicas do their part, each
// does it for the square root of the share.
[[nodiscard]] Slo slo_of_part(const Slo& slo, Role role);

// Busy share of the links that carry KV; beyond it their queue is longer than what is carried.
inline constexpr double kMostOfLink = 0.9;

// One replica under steady load.
struct ServingPoint {
  double rate = 0.0;                 // requests per second
  double batch = 0.0;                // sequences that decode at once, in the mean; of prompts alone the share of the time
  Seconds tpot{0};                   // mean; 0 of prompts alone
  Seconds ttft{0};                   // at the promises' percentile; 0 of decodes alone
};

class ServingPrices {
 public:
  static constexpr Watts kNoLimit{std::numeric_limits<double>::infinity()};
  // `limits`: what each of its devices may draw (sim/serving_power.h); infinite: no less than the caps of its scenario leave
  // it. The group must outlive this.
  ServingPrices(ServingGroup& group, const ServingWorkload& workload, const Draw& draw = {},
                const std::vector<Watts>& limits = {kNoLimit});

  // The highest load that keeps the promises; rate 0 when not even one sequence at a time does. A promise of 0 is none.
  // `limit` counts into `limits`.
  [[nodiscard]] ServingPoint most(const Slo& slo, std::size_t limit = 0) const;
  // At `batch` (ServingPoint) sequences in the mean.
  [[nodiscard]] ServingPoint at(double batch, const Slo& slo, std::size_t limit = 0) const;
  // Whether one request has room, and its KV a way where prompts are computed apart.
  [[nodiscard]] bool fits() const { return fit_ >= 1.0; }
  // Loads priced so far.
  [[nodiscard]] std::int64_t points() const { return points_; }

 private:
  [[nodiscard]] double decode(double batch, std::size_t limit) const;
  // With what the part is held to.
  [[nodiscard]] ServingPoint point(double batch, const Slo& own, std::size_t limit) const;
  [[nodiscard]] bool keeps(double batch, const Slo& own, std::size_t limit) const;
  // What a prompt or a transfer waits for those before it, at the promises' percentile.
  [[nodiscard]] Seconds queued(double rate, double service, const Slo& slo) const;

  ServingGroup& group_;
  Role role_;
  double prompt_tokens_;
  double output_tokens_;
  double fit_ = 0.0;                 // most of ServingPoint::batch that the KV cache and the limits hold
  double transfer_s_ = 0.0;          // of a prompt's KV; where prompts are computed apart
  std::vector<double> prompt_s_;     // [limit] of one prompt alone
  std::vector<double> sizes_;        // decode batches priced, ascending
  std::vector<std::vector<double>> times_;  // [limit][size]
  mutable std::int64_t points_ = 0;
};

}  // namespace lindos::sim
