// SPDX-License-Identifier: Apache-2.0
// What the store tests share: a scratch folder, a complete record, the texts that belong to it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>

#include <gtest/gtest.h>
#include <stdlib.h>

#include "data/store/store.h"
#include "scenarios/metrics.h"
#include "scenarios/profile.h"

namespace lindos::data {

// Removed with its content at the end; readable by every user, since one test gives up root.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string pattern = ::testing::TempDir() + "lindos-store-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no scratch folder");
    path_ = pattern;
    std::filesystem::permissions(path_, std::filesystem::perms(0755));
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::permissions(path_, std::filesystem::perms(0755), ignored);
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  [[nodiscard]] std::filesystem::path operator/(const std::string& name) const {
    return path_ / name;
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline constexpr int kSampleLedgerEntries = 3;

// Every metric of the registry, three ledger entries, two libraries.
inline RunRecord sample_run(RunSource source, std::uint64_t seed = 1) {
  RunRecord record;
  record.source = source;
  const bool measured = source == RunSource::kMeasured;
  record.fidelity = measured ? "engine" : "simgrid";
  record.scenario_name = "this-machine";
  record.scenario_digest = "5ce0";
  record.plan_name = "tp2";
  record.plan_digest = "91a0";
  record.seed = seed;
  record.repeats = 3;
  record.started_utc = "2026-11-21T02:00:00Z";
  record.output_hash = measured ? "0a57" : "";
  for (const Metric& metric : metric_registry()) {
    record.metrics[std::string(metric.name)] = {0.9, 1.0, 1.2, std::string(metric.unit),
                                                measured ? "measured" : "modelled"};
  }
  // Not in the order of Cause: the order given must come back.
  record.ledger = {{Cause::kMemoryBound, 0.5, 0.45, 0.55},
                   {Cause::kUseful, 0.25, 0.2, 0.3},
                   {Cause::kHostOverhead, 0.25, 0.2, 0.3}};
  record.environment = {
      "abc",        "2 × CPU", "",    {{"openblas", "0.3.21"}, {"simgrid", "3.32"}},
      "2026-11-01", "",        "host"};
  return record;
}

inline std::int64_t insert_sample(Store& store, RunSource source, std::uint64_t seed = 1) {
  return store.insert(sample_run(source, seed), "[scenario]", "{\"plan\": 1}", "");
}

inline std::string sample_profile_json() {
  Profile profile;
  profile.device = "this-machine";
  profile.date = "2026-11-21";
  profile.memory = Bytes{8e9};
  profile.matrix_rate = FlopPerSecond{1e11};
  profile.read_bandwidth = BytesPerSecond{2e10};
  return to_json(profile);
}

}  // namespace lindos::data
