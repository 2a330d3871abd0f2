// SPDX-License-Identifier: Apache-2.0
#include "sim/cell_sampling.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "scenarios/error.h"
#include "scenarios/philox.h"
#include "scenarios/request_stream.h"
#include "scenarios/text_layout.h"
#include "sim/cell.h"
#include "sim/replica_sample.h"

namespace lindos::sim {

namespace {

// Cells simulated before the interval of goodput is looked at. At most so many that their replicas are about as many
// as where each is sampled alone.
constexpr std::size_t kFirstCells = 4;
constexpr std::int64_t kMostReplicas = 768;

std::int64_t sum(const std::vector<std::int64_t>& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
}

// Of so many replicas of each group.
double routing_weight(const std::vector<GroupPlan>& plans, const std::vector<std::int64_t>& replicas) {
  double weight = 0.0;
  for (std::size_t g = 0; g < plans.size(); ++g) weight += plans[g].routing_weight * static_cast<double>(replicas[g]);
  return weight;
}

// Draws the cell of each request in proportion to the cells' routing weights.
class CellDraw {
 public:
  CellDraw(const std::vector<GroupPlan>& plans, std::int64_t cells, std::uint64_t seed) : key_(philox_key(seed)) {
    double weight = 0.0;
    for (std::int64_t c = 0; c < cells; ++c) {
      weight += routing_weight(plans, replicas_in_cell(plans, cells, c));
      bounds_.push_back(weight);
    }
  }
  [[nodiscard]] std::size_t cell_of(std::uint64_t request) const {
    if (bounds_.size() == 1) return 0;
    constexpr std::uint32_t kPurpose = 0x63656c6c;  // "cell": no other draw of the seed uses it
    const auto low = static_cast<std::uint32_t>(request);
    const auto high = static_cast<std::uint32_t>(request >> 32U);
    const PhiloxCounter bits = philox({low, high, 0, kPurpose}, key_);
    const auto found = std::upper_bound(bounds_.begin(), bounds_.end(), open_unit(bits[0]) * bounds_.back());
    return std::min(static_cast<std::size_t>(found - bounds_.begin()), bounds_.size() - 1);
  }

 private:
  PhiloxKey key_;
  std::vector<double> bounds_;  // running sums
};

class CellSampling final : public FleetSampling {
 public:
  CellSampling(const Scenario& scenario, const Fleet& fleet, const PredictOptions& options)
      : options_(options), plans_(scenario.plan.groups), tenants_(scenario.workload.serving.tenants.size()) {
    const Routing& routing = scenario.plan.routing;
    const auto replicas = static_cast<std::int64_t>(fleet_replicas(fleet));
    count_ = (replicas + routing.replicas_per_router - 1) / routing.replicas_per_router;
    for (const GroupPlan& group : plans_) {
      if (group.replicas >= count_ || count_ == 1) continue;
      throw Error(ErrorKind::kInput, "plan: routing",
                  "group \"" + group.name + "\" has " + plural(group.replicas, "replica") + ", fewer than the " +
                      std::to_string(count_) + " routers with " + plural(routing.replicas_per_router, "replica") +
                      " each, which all need one; raise replicas_per_router or leave the group out");
    }
    GroupPlan all;
    all.replicas = count_;
    const std::int64_t most =
        options.goodput_width > 0.0 ? std::max<std::int64_t>(kFirstCells, kMostReplicas * count_ / replicas) : count_;
    const ReplicaSample sample({all}, most, options.seed);
    cells_.resize(sample.size(0));
    for (std::int64_t c = 0; c < count_; ++c) {
      const std::int32_t place = sample.place(0, c);
      if (place == ReplicaSample::kNone) continue;
      Cell& cell = cells_[static_cast<std::size_t>(place)];
      cell.replicas = replicas_in_cell(plans_, count_, c);
      cell.share = routing_weight(plans_, cell.replicas) / routing_weight(plans_, replicas_in_cell(plans_, 1, 0));
    }
    deal(scenario, sample);
    if (total_ == 0.0)
      throw Error(ErrorKind::kInput, scenario.name, "no request arrives within the workload's duration");
  }

  SampleOutcome serve(FleetRunner& runner) override {
    std::vector<std::vector<ReplicaOutcome>> served;  // [cell]
    std::size_t target = options_.goodput_width > 0.0 ? kFirstCells : cells_.size();
    for (;;) {
      std::vector<FleetRunner::CellJob> jobs;
      const std::size_t until = std::min(target, cells_.size());
      for (std::size_t c = served.size(); c < until; ++c) jobs.push_back({&cells_[c], nullptr});
      std::vector<std::vector<ReplicaOutcome>> more = runner.serve_cells(options_.fidelity, jobs);
      std::move(more.begin(), more.end(), std::back_inserter(served));
      SampleOutcome outcome = outcome_of(served);
      if (served.size() == cells_.size() || is_narrow(outcome.goodput, options_)) return outcome;
      target *= 2;
    }
  }

  std::vector<SampleOutcome> replay(FleetRunner& runner, const std::vector<std::vector<Draw>>& draws,
                                    const std::function<void(double)>& progress) override {
    const Cell& first = first_served();
    const Cell beginning{first.replicas, beginning_of(first.requests, static_cast<double>(sum(first.replicas))),
                         first.share};
    std::vector<FleetRunner::CellJob> jobs;
    for (const std::vector<Draw>& draw : draws) jobs.push_back({&beginning, &draw});
    std::vector<SampleOutcome> outcomes;
    for (std::vector<ReplicaOutcome>& replicas : runner.serve_cells(Fidelity::kMaxplus, jobs, progress)) {
      std::vector<std::vector<ReplicaOutcome>> one;
      one.push_back(std::move(replicas));
      outcomes.push_back(outcome_of(one));
    }
    return outcomes;
  }

  // The first of the first cell, as its router deals.
  std::vector<std::vector<RequestSpec>> one_replica_each(FleetRunner& runner) const override {
    std::vector<std::vector<RequestSpec>> out(plans_.size());
    for (CellReplica& replica : runner.deal(first_served())) {
      if (out[replica.group].empty()) out[replica.group] = std::move(replica.requests);
    }
    return out;
  }

 private:
  // The first cell that has requests.
  [[nodiscard]] const Cell& first_served() const {
    const auto found = std::find_if(cells_.begin(), cells_.end(), [](const Cell& c) { return !c.requests.empty(); });
    LINDOS_ASSERT(found != cells_.end(), "a sampled cell has requests, or nothing was served");
    return *found;
  }

  // Keeps what the sampled cells get.
  void deal(const Scenario& scenario, const ReplicaSample& sample) {
    const ServingWorkload& workload = scenario.workload.serving;
    const CellDraw draw(plans_, count_, scenario.workload.seed);
    const auto stream = open_requests(workload, scenario.workload.seed);
    std::vector<std::size_t> clients;  // of a closed loop: cell of each
    std::size_t answered = 0;
    while (const std::optional<RequestSpec> request = stream->next()) {
      std::size_t cell = 0;
      if (request->on_completion) {
        cell = clients[answered++ % clients.size()];
      } else {
        cell = draw.cell_of(request->id);
        if (std::ssize(clients) < workload.concurrency) clients.push_back(cell);
      }
      total_ += 1.0;
      const std::int32_t place = sample.place(0, static_cast<std::int64_t>(cell));
      if (place != ReplicaSample::kNone) cells_[static_cast<std::size_t>(place)].requests.push_back(*request);
    }
  }

  [[nodiscard]] SampleOutcome outcome_of(std::vector<std::vector<ReplicaOutcome>>& served) const {
    SampleOutcome outcome;
    outcome.requests.assign(plans_.size(), 0.0);
    std::vector<ClusterCount> clusters;
    std::vector<std::vector<ClusterCount>> of_tenants(tenants_, std::vector<ClusterCount>(served.size()));
    double sampled = 0.0;
    for (std::vector<ReplicaOutcome>& cell : served) {
      ClusterCount& count = clusters.emplace_back();
      for (ReplicaOutcome& replica : cell) {
        count.requests += replica.requests();
        count.kept += replica.kept;
        for (std::size_t t = 0; t < tenants_; ++t) {
          ClusterCount& own = of_tenants[t][clusters.size() - 1];
          own.requests += replica.tenants[t].requests();
          own.kept += replica.tenants[t].kept;
        }
        outcome.requests[replica.group] += replica.requests();
        outcome.replicas.push_back(replica);
      }
      sampled += count.requests;
    }
    // What the routers of all cells send to a group is not known, only what those of the sampled cells do.
    for (double& requests : outcome.requests) requests *= sampled > 0.0 ? total_ / sampled : 0.0;
    outcome.goodput = estimate_goodput_of_clusters(clusters, static_cast<double>(count_));
    for (const std::vector<ClusterCount>& own : of_tenants)
      outcome.tenants.push_back(estimate_goodput_of_clusters(own, static_cast<double>(count_)));
    return outcome;
  }

  const PredictOptions& options_;
  const std::vector<GroupPlan> plans_;
  const std::size_t tenants_;
  std::int64_t count_ = 1;    // cells of the fleet
  std::vector<Cell> cells_;   // sampled ones, in random order
  double total_ = 0.0;        // requests of all cells
};

}  // namespace

std::vector<std::int64_t> replicas_in_cell(const std::vector<GroupPlan>& groups, std::int64_t cells,
                                           std::int64_t cell) {
  std::vector<std::int64_t> replicas;
  for (const GroupPlan& group : groups) {
    const std::int64_t all = std::max<std::int64_t>(1, group.replicas);
    replicas.push_back(all * (cell + 1) / cells - all * cell / cells);
  }
  return replicas;
}

std::unique_ptr<FleetSampling> sample_cells(const Scenario& scenario, const Fleet& fleet,
                                            const PredictOptions& options) {
  return std::make_unique<CellSampling>(scenario, fleet, options);
}

}  // namespace lindos::sim
