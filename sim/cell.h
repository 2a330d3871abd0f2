// SPDX-License-Identifier: Apache-2.0
// A cell: the replicas that one router sees, served side by side on a virtual clock, each request sent where the router
// sends it at the time it arrives, unless the plan's admission limits turn it away. Where prefill and decode are apart, a
// request is routed twice: to a replica that computes its prompt and first token, and, when that is done, to one that gets
// the prompt's KV and goes on. The max-plus rung, because a router that looks at load needs every replica at every
// arrival; a finer rung then times each replica with the requests that it was dealt (time_cell).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "scenarios/scenario.h"
#include "scenarios/workload.h"
#include "sim/fleet.h"
#include "sim/kv_transfer.h"
#include "sim/serving_run.h"
#include "sim/stage_work.h"

namespace lindos::sim {

struct Cell {
  std::vector<std::int64_t> replicas;  // [group]
  std::vector<RequestSpec> requests;   // sorted by arrival
  double share = 1.0;                  // of the fleet's routing weight, and so of the tenants' rates
};

struct CellReplica {
  std::size_t group = 0;
  std::vector<RequestSpec> requests;  // dealt to it, in order of arrival; prompts are cut off at the first token, and
                                      // what a decoding replica gets begins with it
  ServingRun run;                     // empty without requests
  std::vector<RequestSpec> turned_away;  // that the router would have sent here; where it chose none, of the first replica
};

struct CellRun {
  std::vector<CellReplica> replicas;  // in order of groups
  struct Handover {
    RequestSpec request;  // as it was asked
    KvTransfer kv;
  };
  std::vector<Handover> handovers;
};

// The next request of a closed loop's client goes where its first one went, at once where that was turned away. `draws`: [group], or null for the centre.
// `cancelled` may be empty. REQUIRES: a replica with a routing weight above 0 for each part of the work.
[[nodiscard]] CellRun serve_cell(std::vector<ServingGroup>& groups, const Scenario& scenario, const Cell& cell,
                                 const std::vector<Draw>* draws = nullptr,
                                 const std::function<bool()>& cancelled = {});

// Times the replicas anew by `serve`, with the requests that they were dealt, and transfers in between by SimGrid.
void time_cell(std::vector<ServingGroup>& groups, const Scenario& scenario, CellRun& run,
               const std::function<ServingRun(ServingGroup&, const std::vector<RequestSpec>&)>& serve,
               const std::function<bool()>& cancelled = {});

// Joins the two parts of each request that was handed over: its timeline, from arrival to the last token, stands with
// the replica that decoded it and no more with the one that computed its prompt.
void join_handovers(CellRun& run);

}  // namespace lindos::sim
