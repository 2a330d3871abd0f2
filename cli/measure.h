// SPDX-License-Identifier: Apache-2.0
// Runs the scenario on this machine's engine and turns the runs into one measured RunRecord.
#pragma once

#include <memory>
#include <string>

#include "cli/progress.h"
#include "cli/session.h"
#include "exec/runner/replica.h"
#include "exec/telemetry/device_telemetry.h"
#include "scenarios/run_samples.h"
#include "scenarios/run_timeline.h"

namespace lindos::cli {

// Weights by name: a folder in Hugging Face layout, or "random:SEED".
[[nodiscard]] std::shared_ptr<const exec::Checkpoint> open_weights(const std::string& name, const Scenario& scenario);

struct Measurement {
  RunRecord record;
  RunSamples samples;   // of all repeats
  RunTimeline timeline; // of one of them
};

struct MeasureOptions {
  int repeats = 3;
  const exec::DeviceTelemetry* devices = nullptr;  // the GPUs that the replica runs on; nullptr on the CPU
  bool mpi = false;                                // ranks are processes
};

// One warm-up run of two requests, then the repeats of the whole workload, watched: GPUs are named in the record, and
// what the run says of itself goes to `progress` as it runs. Warns when the runs were faster than the ceilings allow.
// REQUIRES: replica.is_driver().
[[nodiscard]] Measurement measure(const Session& session, const exec::EngineConfig& config, exec::Replica& replica,
                                  const Profile& ceilings, const MeasureOptions& how, Progress& progress);

}  // namespace lindos::cli
