// SPDX-License-Identifier: Apache-2.0
#include "sim/cell.h"

#include <deque>
#include <utility>

#include "exec/scheduler/router.h"
#include "sim/maxplus.h"

namespace lindos::sim {

namespace {

// A replica as the router sees it.
class Watched {
 public:
  Watched(ServingGroup& group, const Draw& draw, const std::function<bool()>& cancelled)
      : served_(group.replica, group.limits, draw, cancelled) {}

  void add(const RequestSpec& request) {
    served_.loop().add(request);
    ++unfinished_;
    requests_.push_back(request);
  }
  // At `now`: what the replica has started may end later, and is not known to have ended.
  [[nodiscard]] std::int64_t unfinished(Seconds now) {
    served_.loop().run(now);
    for (const scheduler::ServingLoop::Ending& ending : served_.loop().take_endings())
      endings_.push_back(ending.at);
    while (!endings_.empty() && endings_.front() <= now) {
      endings_.pop_front();
      --unfinished_;
    }
    return unfinished_;
  }
  [[nodiscard]] CellReplica finish(std::size_t group) {
    CellReplica out;
    out.group = group;
    if (!requests_.empty()) {
      served_.loop().run();
      out.run = served_.close();
    }
    out.requests = std::move(requests_);
    return out;
  }

 private:
  MaxplusReplica served_;
  std::deque<Seconds> endings_;  // that the router does not know of yet
  std::int64_t unfinished_ = 0;
  std::vector<RequestSpec> requests_;
};

}  // namespace

std::vector<CellReplica> serve_cell(std::vector<ServingGroup>& groups, const Routing& routing, const Cell& cell,
                                    std::uint64_t seed, const std::vector<Draw>* draws,
                                    const std::function<bool()>& cancelled) {
  const Draw centre;
  std::vector<scheduler::ReplicaClass> classes;
  std::vector<std::vector<Watched>> replicas;  // [group][replica]
  for (std::size_t g = 0; g < groups.size(); ++g) {
    classes.push_back({groups[g].plan.routing_weight, cell.replicas[g]});
    std::vector<Watched>& row = replicas.emplace_back();
    for (std::int64_t r = 0; r < cell.replicas[g]; ++r)
      row.emplace_back(groups[g], draws == nullptr ? centre : (*draws)[g], cancelled);
  }
  scheduler::Router router(routing, std::move(classes), seed);
  const auto at = [&](const scheduler::Target& target) -> Watched& {
    return replicas[target.group][static_cast<std::size_t>(target.replica)];
  };

  std::vector<scheduler::Target> clients;  // of a closed loop
  std::size_t answered = 0;
  for (const RequestSpec& request : cell.requests) {
    if (request.on_completion) {
      at(clients[answered++ % clients.size()]).add(request);
      continue;
    }
    const scheduler::Target target = router.route(
        request, [&](const scheduler::Target& asked) { return at(asked).unfinished(request.arrival); });
    at(target).add(request);
    clients.push_back(target);
  }
  std::vector<CellReplica> out;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    for (Watched& replica : replicas[g]) out.push_back(replica.finish(g));
  }
  return out;
}

}  // namespace lindos::sim
