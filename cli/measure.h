// SPDX-License-Identifier: Apache-2.0
// Runs the scenario on this machine's engine and turns the runs into one measured RunRecord.
#pragma once

#include <memory>
#include <string>

#include "cli/progress.h"
#include "cli/session.h"
#include "exec/runner/replica.h"

namespace lindos::cli {

// Weights by name: a folder in Hugging Face layout, or "random:SEED".
[[nodiscard]] std::shared_ptr<const exec::Checkpoint> open_weights(const std::string& name, const Scenario& scenario);

// One warm-up run of two requests, then `repeats` runs of the whole workload.
// REQUIRES: replica.is_driver().
[[nodiscard]] RunRecord measure(const Session& session, const exec::EngineConfig& config, exec::Replica& replica,
                                const Profile& ceilings, int repeats, Progress& progress);

}  // namespace lindos::cli
