// SPDX-License-Identifier: Apache-2.0
// The store of runs: one SQLite file in WAL mode (schema and migration rules: docs/store.md). What
// one call inserts is one transaction, so a reader, a second writer or a kill -9 never meets half of
// a run, nor one of two runs that belong together.
// Ownership: a Store owns its connection; it can be moved. Threading: one thread at a time; any
// number of processes may have the same file open. Errors: Error{kInput} for a file that is no
// Lindos store, a newer schema, an unknown run; Error{kEnvironment} with the remedy for a full
// disk, a read-only place, a damaged file, a lock that is not given up.
//
//   Store store = Store::open("lindos.db", Store::Mode::kReadWrite);
//   const std::int64_t id = store.insert(record, to_toml(scenario), to_json(plan),
//   to_json(profile));
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/store/comparison.h"
#include "scenarios/device_map.h"
#include "scenarios/run_record.h"
#include "scenarios/run_samples.h"
#include "scenarios/tuned_product.h"

namespace lindos::data {

// Every field that is set must match.
struct RunFilter {
  std::optional<RunSource> source;
  std::optional<std::string> fidelity;
  std::optional<std::string> scenario_name;
  std::optional<std::string> scenario_digest;
  std::optional<std::string> plan_digest;
  std::optional<std::int64_t> limit;  // the newest so many
};

struct RunSummary {
  std::int64_t id = 0;
  RunSource source = RunSource::kPredicted;
  std::string fidelity;
  std::string scenario_name;
  std::string scenario_digest;
  std::string plan_name;
  std::string plan_digest;
  std::string started_utc;
  std::string created_utc;  // when the store took it
};

// What a verb hands over: a record; if it has them, what it says about single devices (predictions), what it says over
// time (predictions of serving; measurements) and its timeline as JSON (measurements). Borrowed.
struct NewRun {
  // NOLINTNEXTLINE: a record alone is one
  NewRun(const RunRecord* run, const DeviceMap* map = nullptr, const RunSamples* over_time = nullptr)
      : record(run), devices(map), samples(over_time) {}
  NewRun(const RunRecord* run, const DeviceMap* map, const RunSamples* said, const std::string* spans)
      : record(run), devices(map), samples(said), timeline(spans) {}
  const RunRecord* record;
  const DeviceMap* devices = nullptr;
  const RunSamples* samples = nullptr;
  const std::string* timeline = nullptr;
};

// Name of the artifact that holds the timeline of a measured run (docs/formats.md).
inline constexpr const char* kTimelineArtifact = "timeline.json";

struct RunPair {
  std::int64_t predicted = 0;
  std::int64_t measured = 0;
};

struct StoreOptions {
  std::chrono::milliseconds busy_timeout{10000};  // how long to wait for another writer
  std::int64_t max_bytes = 0;  // the file may not grow beyond; 0 = the disk decides
};

class Connection;

class Store {
 public:
  enum class Mode { kReadWrite, kReadOnly };

  // kReadWrite creates the folder and the file, migrates an older schema and fails at once, not
  // after a long run, when the place cannot be written. kReadOnly needs an existing store and
  // changes nothing.
  [[nodiscard]] static Store open(const std::filesystem::path& path, Mode mode,
                                  const StoreOptions& options = {});

  Store(Store&&) noexcept;
  Store& operator=(Store&&) noexcept;
  ~Store();

  // Writes the record and what it refers to; returns the number of the run. The texts are kept once
  // per digest, the first one given. `profile_json` may be empty. Throws as validate_run_record for
  // a bad record.
  std::int64_t insert(const RunRecord& record, std::string_view scenario_text,
                      std::string_view plan_json, std::string_view profile_json);
  // All of the runs, which share the texts, or none; their numbers in the order given. Throws
  // likewise, for the first bad record, and as validate_device_map and validate_run_samples.
  std::vector<std::int64_t> insert_together(const std::vector<NewRun>& records,
                                            std::string_view scenario_text,
                                            std::string_view plan_json,
                                            std::string_view profile_json);

  [[nodiscard]] RunRecord load(std::int64_t id) const;
  // nullopt for a run that says nothing about single devices, or is not there. Throws Error{kInput} for a map of another
  // build's quantities, Error{kEnvironment} for a damaged one.
  [[nodiscard]] std::optional<DeviceMap> load_device_map(std::int64_t id) const;
  // nullopt for a run without samples, or that is not there. Throws likewise.
  [[nodiscard]] std::optional<RunSamples> load_run_samples(std::int64_t id) const;
  // Newest first.
  [[nodiscard]] std::vector<RunSummary> list(const RunFilter& filter) const;
  [[nodiscard]] std::optional<RunSummary> latest(RunFilter filter) const;
  // The latest measured run of the scenario and plan of a prediction; nullopt for a record that is measured itself.
  [[nodiscard]] std::optional<std::int64_t> measurement_of(const RunRecord& record) const;
  // The latest measured run that has a prediction, with the latest of its predictions: both of the
  // same scenario and plan. An empty digest stands for any.
  [[nodiscard]] std::optional<RunPair> find_pair(const std::string& scenario_digest = "",
                                                 const std::string& plan_digest = "") const;

  // Measured runs, newest first, each with the last prediction of the same scenario and plan that was stored before it;
  // those without one are left out. A prediction that came after the measurement would not be one.
  [[nodiscard]] std::vector<RunPair> list_pairs(std::int64_t limit) const;

  // Every metric that either run has, in the order of the registry. Throws Error{kInput} when the
  // runs are not one predicted and one measured, or when a metric of both was defined differently.
  [[nodiscard]] std::vector<MetricComparison> compare(std::int64_t predicted_id,
                                                      std::int64_t measured_id) const;
  // Every cause that either run booked, in the order of Cause.
  [[nodiscard]] std::vector<LedgerComparison> compare_ledgers(std::int64_t predicted_id,
                                                              std::int64_t measured_id) const;

  [[nodiscard]] std::optional<std::string> scenario_text(const std::string& digest) const;
  [[nodiscard]] std::optional<std::string> plan_json(const std::string& digest) const;
  [[nodiscard]] std::optional<std::string> profile_json(const std::string& digest) const;

  // Bytes kept beside a run (a trace, a chart); a second one of the same name replaces the first.
  void attach(std::int64_t run, const std::string& name, std::string_view content);
  [[nodiscard]] std::optional<std::string> find_artifact(std::int64_t run,
                                                         const std::string& name) const;

  // Of all devices and libraries; none before anything was remembered.
  [[nodiscard]] std::vector<TunedProduct> tuned_products() const;
  // Replaces what was remembered for the same place and shape.
  void remember(const std::vector<TunedProduct>& products);

 private:
  explicit Store(std::unique_ptr<Connection> connection);
  std::unique_ptr<Connection> connection_;
};

}  // namespace lindos::data
