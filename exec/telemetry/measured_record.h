// SPDX-License-Identifier: Apache-2.0
// Measured runs of one replica → metrics and ledger of a RunRecord. FLOP and bytes come from scenarios/ops for
// the very steps that ran, and for the experts that their tokens chose; times from the ranks' timers. Several runs (repeats) give p10/p50/p90.
#pragma once

#include <string>
#include <vector>

#include "exec/runner/replica.h"
#include "scenarios/profile.h"
#include "scenarios/run_record.h"
#include "scenarios/scenario.h"

namespace lindos::exec {

// Fills source, fidelity, repeats, metrics, ledger and output_hash; provenance of the scenario, plan and
// environment is the caller's. `ceilings` supplies matrix rate and read bandwidth of this machine.
// Figures of tenants where the workload has some; rejected_share where the plan limits admission. Throws Error{kInfeasible} where a run
// turned every request away. REQUIRES: at least one run, all of the same requests.
[[nodiscard]] RunRecord measured_record(const std::vector<EngineRun>& runs, const EngineConfig& config,
                                        const Profile& ceilings, const Scenario& scenario);

// The utilisations of the record (mfu, mbu, roofline_utilisation) that no device can reach: a median beyond 1 by more
// than a probe's noise. Either the ceilings are too low, or what was to come from memory came from caches.
[[nodiscard]] std::vector<std::string> above_ceilings(const RunRecord& record);

// Which share of the experts held was read per layer and step, beside what an even choice would read; empty without experts.
[[nodiscard]] std::string describe_expert_use(const EngineRun& run, const EngineConfig& config);

// Sets the metric `name` of the registry to p10, p50 and p90 of the values of the repeats, as measured.
// REQUIRES: at least one value, in the metric's unit.
void set_measured(RunRecord& record, const std::string& name, const std::vector<double>& repeats);

// The ledger of one run: kernels by family against the roofline, waits by their cause; closed to
// wall time × peak by host overhead.
[[nodiscard]] Ledger measured_ledger(const EngineRun& run, const EngineConfig& config, const Profile& ceilings);

}  // namespace lindos::exec
