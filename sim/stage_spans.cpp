// SPDX-License-Identifier: Apache-2.0
#include "sim/stage_spans.h"

#include <algorithm>
#include <set>

namespace lindos::sim {

namespace {

std::set<std::string> pools_of(const StagePlan& stage) {
  std::set<std::string> pools;
  for (const RankPlan& rank : stage.ranks) pools.insert(rank.pool);
  return pools;
}

}  // namespace

std::vector<StageSpan> stage_spans(const GroupPlan& group, const Fabric& fabric,
                                   const std::map<std::string, std::int64_t>& domains) {
  const bool one_machine = fabric.kind == "shared-memory";
  std::vector<StageSpan> spans;
  std::set<std::string> before;
  std::int64_t position = 0;
  // The next position that is the first of a domain, whichever of these pools it belongs to.
  const auto leave_domains = [&](const std::set<std::string>& pools) {
    for (const std::string& pool : pools) {
      const std::int64_t domain = domains.at(pool);
      position = (position + domain - 1) / domain * domain;
    }
  };
  for (const StagePlan& stage : group.stages) {
    const std::set<std::string> pools = pools_of(stage);
    if (!spans.empty() && !one_machine && pools != before) {
      leave_domains(before);
      leave_domains(pools);
    }
    const std::int64_t count = static_cast<std::int64_t>(stage.ranks.size()) * group.training.context_parallel;
    StageSpan span{position, position + count - 1, !one_machine && pools.size() > 1};
    if (span.scattered) {
      std::int64_t widest = 1;
      for (const std::string& pool : pools) widest = std::max(widest, domains.at(pool));
      span.last += widest;
    }
    position = span.last + 1;
    spans.push_back(span);
    before = pools;
  }
  return spans;
}

}  // namespace lindos::sim
