// SPDX-License-Identifier: Apache-2.0
// What of a group other tools can express: where its devices lie, and that its shares are even.
#pragma once

#include <string>
#include <vector>

#include "cli/launch/launch.h"

namespace lindos::cli {

// Throws Error{kInfeasible} for nodes of different size in a replica and for a replica that leaves
// its last node half empty, with what `tool` would need.
[[nodiscard]] Placement placement_of(const Scenario& scenario, const GroupPlan& group,
                                     const std::string& tool);
[[nodiscard]] const Pool& pool_of(const Scenario& scenario, const std::string& name);

// The same tensor degree in every stage and even shares: all that other engines know.
struct UniformGroup {
  const GroupPlan* group = nullptr;
  Placement at;
  std::int64_t tensor = 1;
  std::int64_t stages = 1;
  bool expert_parallel = false;      // routed experts are dealt out whole over the tensor ranks
  std::vector<std::int64_t> layers;  // per stage
  [[nodiscard]] bool even_layers() const;
};

// Throws Error{kInfeasible} like placement_of, and for uneven shares and stages of different
// degree.
[[nodiscard]] UniformGroup uniform_group(const Scenario& scenario, const GroupPlan& group,
                                         const std::string& tool);

// Comment lines of a script or manifest: how boards are set to the plan's limits. Only root may, so nothing is run.
[[nodiscard]] std::string power_lines(const Placement& at);
// Throws Error{kInfeasible} where nodes are shared with a group of another limit: whoever hands devices out prepares
// whole nodes, before it is known whose devices they are.
void require_one_limit_per_node(const Scenario& scenario, const Launch& launch);

// "15,16,16": what a layer-partition variable takes.
[[nodiscard]] std::string comma_list(const std::vector<std::int64_t>& values);
[[nodiscard]] std::string in_quotes(const GroupPlan& group);  // group "h100"

}  // namespace lindos::cli
