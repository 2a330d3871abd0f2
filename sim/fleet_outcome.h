// SPDX-License-Identifier: Apache-2.0
// From the runs of simulated replicas to the figures of the fleet: each simulated replica of a group stands for as
// many as the group has over those simulated, each of its requests for as many as the group was dealt over those
// simulated.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "scenarios/ledger.h"
#include "scenarios/workload.h"
#include "sim/fleet.h"
#include "sim/power_series.h"
#include "sim/serving_run.h"
#include "sim/stage_work.h"

namespace lindos::sim {

// Of one tenant's requests at one simulated replica.
struct TenantOutcome {
  std::vector<double> ttft;         // [answered request]
  std::vector<double> tpot;         // of requests with at least two tokens
  double tokens = 0.0;
  double kept = 0.0;
  double turned_away = 0.0;
  [[nodiscard]] double requests() const { return static_cast<double>(ttft.size()) + turned_away; }
};

// What one simulated replica leaves behind.
struct ReplicaOutcome {
  std::size_t group = 0;
  Ledger ledger;
  WorkTotals totals;
  Seconds end{0};
  Seconds first_arrival{0}, last_token{0};
  std::vector<double> ttft, e2e_latency;  // [answered request]
  std::vector<double> tpot;               // of requests with at least two tokens
  std::vector<double> step_times;
  std::vector<double> kv_transfer;        // of requests whose prompt another replica computed
  double tokens = 0.0;
  double kept = 0.0;                      // requests that kept both promises
  double prefix_query_tokens = 0.0;       // with prefix reuse, as ServingRun
  double prefix_hit_tokens = 0.0;
  double turned_away = 0.0;               // requests that it would have been sent
  std::vector<TenantOutcome> tenants;     // [tenant]; none where the workload has none
  double host_hit_tokens = 0.0;
  PowerSeries power;                      // of its steps; empty on the closed rung and where power is not known
  [[nodiscard]] double requests() const { return static_cast<double>(ttft.size()) + turned_away; }
};

[[nodiscard]] double fleet_replicas(const Fleet& fleet);

// `run` of a replica without requests: empty.
[[nodiscard]] ReplicaOutcome replica_outcome(std::size_t group, ServingRun run, const Promises& promises,
                                             const std::vector<RequestSpec>& turned_away = {});

struct FleetOutcome {
  std::map<std::string, double> metrics;  // by registry name; without answers goodput and rejected_share alone
  std::vector<std::map<std::string, double>> tenants;  // [tenant], of its requests alone
  Ledger ledger;
  WorkTotals totals;
  std::size_t steps = 0;  // that were simulated
};

// `dealt`: requests of each group, those of replicas that are not simulated among them. Power by so many sigmas of
// the power model. REQUIRES: a simulated request, and a simulated replica of every group.
[[nodiscard]] FleetOutcome fleet_outcome(const Fleet& fleet, const std::vector<double>& dealt,
                                         const std::vector<ReplicaOutcome>& replicas, double power_sigmas);

// Goodput of the fleet, or of one tenant's requests, and half of its 95 % interval from simulating a sample: ratio estimate by group (kept over
// dealt requests), weighted by the requests of the groups; variance between the replicas of a group with correction
// for a finite group, Student's t (Cochran, Sampling Techniques, 3rd edition, 6.4 and 5.4).
struct GoodputEstimate {
  double goodput = 1.0;
  double half_width = 0.0;  // 0 where all replicas were simulated
};
[[nodiscard]] GoodputEstimate estimate_goodput(const Fleet& fleet, const std::vector<double>& dealt,
                                               const std::vector<ReplicaOutcome>& replicas);
// By tenant: of each group's requests as large a share is a tenant's as of those simulated.
[[nodiscard]] std::vector<GoodputEstimate> estimate_goodput_of_tenants(const Fleet& fleet,
                                                                       const std::vector<double>& dealt,
                                                                       const std::vector<ReplicaOutcome>& replicas);

// The same where whole clusters of replicas are drawn, of which the fleet has `count`: a single ratio, variance between
// clusters. REQUIRES: a request.
struct ClusterCount {
  double requests = 0.0;
  double kept = 0.0;
};
[[nodiscard]] GoodputEstimate estimate_goodput_of_clusters(const std::vector<ClusterCount>& clusters, double count);

}  // namespace lindos::sim
