// SPDX-License-Identifier: Apache-2.0
// Runs the scenario on this machine's engine and turns the runs into one measured RunRecord.
#pragma once

#include <memory>
#include <string>

#include "cli/progress.h"
#include "cli/session.h"
#include "exec/runner/replica.h"
#include "exec/telemetry/device_telemetry.h"

namespace lindos::cli {

// Weights by name: a folder in Hugging Face layout, or "random:SEED".
[[nodiscard]] std::shared_ptr<const exec::Checkpoint> open_weights(const std::string& name, const Scenario& scenario);

// One warm-up run of two requests, then `repeats` runs of the whole workload. `devices`: the GPUs that the
// replica runs on, watched during the runs and named in the record; nullptr on the CPU.
// Warns when the runs were faster than the ceilings allow. REQUIRES: replica.is_driver().
[[nodiscard]] RunRecord measure(const Session& session, const exec::EngineConfig& config, exec::Replica& replica,
                                const Profile& ceilings, int repeats, Progress& progress,
                                const exec::DeviceTelemetry* devices = nullptr);

}  // namespace lindos::cli
