// SPDX-License-Identifier: Apache-2.0
// What the verbs share: opening a scenario with its plan, profiles for its devices, the engine's set-up, the
// store. No verb does these its own way.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/options.h"
#include "cli/place.h"
#include "cli/progress.h"
#include "data/store/store.h"
#include "exec/runner/rank_worker.h"
#include "exec/telemetry/device_telemetry.h"
#include "scenarios/profile.h"
#include "scenarios/run_record.h"
#include "scenarios/scenario.h"

namespace lindos::cli {

struct Session {
  std::filesystem::path catalogue_dir;
  Catalogue catalogue;
  Scenario scenario;

  // `plan` replaces the scenario's; empty keeps it. Throws Error{kInput}.
  static Session open(const std::filesystem::path& scenario, const std::filesystem::path& plan,
                      const CommonOptions& options);
  // Fields of a RunRecord that say where it comes from.
  void stamp(RunRecord& record, const Profile* profile) const;
};

[[nodiscard]] std::filesystem::path catalogue_folder(const CommonOptions& options);
[[nodiscard]] Catalogue open_catalogue(const CommonOptions& options);
[[nodiscard]] std::string read_file(const std::filesystem::path& path);
// Throws Error{kEnvironment} when write_file would; for before the work whose result goes there.
void require_writable(const std::filesystem::path& path);
// Whole or not at all: written beside and renamed.
void write_file(const std::filesystem::path& path, const std::string& text);

// Throws Error{kInput} when a request of the workload can be longer than the plan's context: the engine would turn it
// away, and figures over the rest would pass for figures of the workload.
void require_context(const Scenario& scenario);
// The one group that is served; throws Error{kInput} for plans with several.
[[nodiscard]] const GroupPlan& serving_group(const Scenario& scenario);

// Profiles by device name: one of `files` if given, a fresh probe of `place`, else the distilled one, else the datasheet.
[[nodiscard]] std::map<std::string, Profile> profiles_for(const Session& session, const std::vector<std::string>& files,
                                                          const Place& place, Progress& progress);
// The scenario's devices with a distilled profile. None for training, which is fitted on datasheets
// (docs/training-accuracy.md); none for a device whose figures are not the catalogue's, since they would not count.
[[nodiscard]] std::map<std::string, Profile> distilled_profiles(const Session& session);
// One line per profile: "h200-sxm: profile of 2026-11-26, SOURCE".
[[nodiscard]] std::string render_sources(const std::map<std::string, Profile>& profiles);
// Named after the place's device; without one "this-machine".
[[nodiscard]] Profile probe_for(const Place& place, const Model& model, const std::vector<GroupPlan>& groups,
                                Progress& progress);
// Ceilings of the place only, without samples.
[[nodiscard]] Profile ceilings_of(const Place& place);

// Engine set-up for the scenario's group at the place: capacity rule applied. `memory` is what all ranks share: of the
// machine, or free on the GPU. Throws Error{kInfeasible} with the capacity rule's reason.
[[nodiscard]] exec::EngineConfig engine_config(const Scenario& scenario, const Place& place,
                                               std::shared_ptr<const exec::Checkpoint> checkpoint, Bytes memory);

// How to read the GPU of the place, and what it is called in records; nothing on the CPU.
[[nodiscard]] std::optional<exec::DeviceTelemetry> telemetry_of(const Place& place);

// The store that the options name; none with --no-db. Opened before the work, so that a place that cannot be
// written or a newer store is refused at once and not after minutes of measuring.
[[nodiscard]] std::optional<data::Store> open_store(const CommonOptions& options);
// Gives the engine what the store knows of fast products on GPUs; without a store it times them anew.
void recall_products(const std::optional<data::Store>& store, exec::EngineConfig& config);
// Stores what the engine timed when it started.
void remember_products(std::optional<data::Store>& store, const exec::EngineConfig& config);
// Writes the runs with what they refer to, all or none; nothing without a store.
void store_records(std::optional<data::Store>& store, const Session& session,
                   const std::vector<data::NewRun>& runs, const Profile* profile);

}  // namespace lindos::cli
