// SPDX-License-Identifier: Apache-2.0
// What all parts of the search for a serving plan go by: the question, what replicas are judged by, and what power, devices and
// dollars count. References borrow: scenario, profiles and question must outlive it. Immutable, so that threads may share it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "scenarios/profile.h"
#include "scenarios/scenario.h"
#include "sim/planner/chosen_replicas.h"
#include "sim/planner/plan_serving.h"
#include "sim/planner/serving_screen.h"

namespace lindos::sim {

struct ServingTask {
  // Throws Error{kInput} for an unknown pool; as judged.
  ServingTask(const Scenario& scenario, const std::map<std::string, Profile>& profiles, const ServingQuestion& question);

  const Scenario& scenario;
  const std::map<std::string, Profile>& profiles;
  const ServingQuestion& question;
  Judged by;
  std::vector<std::size_t> pools;  // that may be used

  void report(double done) const;
  void stop_if_cancelled() const;  // throws Error{kCancelled}
  // Power decides which shapes are best.
  [[nodiscard]] bool power_counts() const {
    return scenario.cluster.power.site_cap.value() > 0.0 || question.objective != ServingObjective::kGoodput;
  }
  [[nodiscard]] bool closed() const { return question.predict.fidelity == Fidelity::kClosed; }

  [[nodiscard]] std::int64_t devices_for_plans(const Pool& pool) const;
  // One replica, above what the site draws at rest.
  [[nodiscard]] Watts added_by(const PricedShape& shape, std::size_t limit_step) const;
  // Of all of these replicas, above what the site draws at rest.
  [[nodiscard]] Watts added_by(const Chosen& c) const;
  // 0 where a price is not known.
  [[nodiscard]] DollarsPerSecond cost_of(const std::vector<Chosen>& chosen, Watts power) const;
  // What a demand is served with the least of.
  [[nodiscard]] double cost_of(const PricedShape& shape, std::size_t limit_step) const;
  // What a request per second counts in the objective of a plan that draws and costs so much; 0: that is not known.
  [[nodiscard]] double per_request(Watts power, DollarsPerSecond cost) const;
  // Requests per second of these that count: with all of the fleet or what survives.
  [[nodiscard]] double counted(const std::vector<Chosen>& chosen, const std::vector<double>& rates) const;
};

}  // namespace lindos::sim
