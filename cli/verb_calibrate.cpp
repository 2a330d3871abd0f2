// SPDX-License-Identifier: Apache-2.0
// lindos calibrate PROFILE --out NEW: a dated profile whose intervals hold what they promise, from
// stored pairs of prediction and measurement. The only way back from measurements to predictions,
// and an explicit one.
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/session.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "cli/version.h"
#include "data/store/store.h"
#include "scenarios/error.h"
#include "scenarios/metrics.h"
#include "sim/interval_calibration.h"

namespace lindos::cli {

namespace {

struct CalibrateVerb {
  CommonOptions common;
  std::string profile, out, hardware;
};

struct Pairs {
  std::vector<sim::CalibrationPair> taken;
  std::string hardware;        // that the measured runs ran on
  std::int64_t elsewhere = 0;  // pairs of other hardware
  std::int64_t unsuited =
      0;  // predicted for another device, or by a profile that is calibrated already
};

// A prediction counts that came from an uncalibrated profile of the device.
bool suits(const data::Store& store, const RunRecord& predicted, const std::string& device) {
  const std::optional<std::string> json = store.profile_json(predicted.environment.profile_digest);
  if (!json) return false;
  const Profile profile = profile_from_json(*json, "stored profile");
  return profile.device == device && profile.interval_factors.empty();
}

// The newest measurement of each scenario and plan that was predicted before.
Pairs pairs_of(const data::Store& store, const std::string& device, const std::string& hardware) {
  constexpr std::int64_t kAll = 1'000'000;
  Pairs out;
  out.hardware = hardware;
  std::set<std::pair<std::string, std::string>> seen;
  for (const data::RunPair& pair : store.list_pairs(kAll)) {
    sim::CalibrationPair both{store.load(pair.predicted), store.load(pair.measured)};
    if (!seen.emplace(both.measured.scenario_digest, both.measured.plan_digest).second) continue;
    if (!suits(store, both.predicted, device)) {
      ++out.unsuited;
      continue;
    }
    if (out.hardware.empty()) out.hardware = both.measured.environment.hardware;
    if (both.measured.environment.hardware == out.hardware) {
      out.taken.push_back(std::move(both));
    } else {
      ++out.elsewhere;
    }
  }
  return out;
}

std::string left_out(const Pairs& pairs) {
  std::string text;
  if (pairs.elsewhere > 0)
    text += fmt::format("; {} measured on other hardware (--hardware)", pairs.elsewhere);
  if (pairs.unsuited > 0)
    text += fmt::format("; {} predicted for another device or from a calibrated profile",
                        pairs.unsuited);
  return text;
}

void print(const CalibrateVerb& options, const Pairs& pairs,
           const std::vector<sim::MetricCalibration>& metrics) {
  if (options.common.format == Format::kJson) {
    auto rows = nlohmann::ordered_json::array();
    for (const sim::MetricCalibration& m : metrics) {
      rows.push_back({{"metric", m.metric},
                      {"pairs", m.points},
                      {"coverage_before", m.covered_before},
                      {"coverage_held_out", m.covered_held_out},
                      {"factor", m.factor}});
    }
    fmt::print("{}\n", nlohmann::ordered_json{{"hardware", pairs.hardware},
                                              {"pairs", pairs.taken.size()},
                                              {"elsewhere", pairs.elsewhere},
                                              {"unsuited", pairs.unsuited},
                                              {"metrics", rows},
                                              {"files", {options.out}}}
                           .dump(2));
    return;
  }
  Table table({"metric", "pairs", "in band before", "held out, after", "factor"});
  for (const sim::MetricCalibration& m : metrics) {
    table.add({std::string(metric_or_throw(m.metric).label), std::to_string(m.points),
               fmt::format("{:.0f} %", 100 * m.covered_before),
               fmt::format("{:.0f} %", 100 * m.covered_held_out), fmt::format("{:.2f}", m.factor)});
  }
  fmt::print(
      "{} pairs measured on {}{}\n{}\nA band should hold 80 %. Held out: each half of the pairs, "
      "widened by what the other half asks for.\n{}\n",
      pairs.taken.size(), pairs.hardware, left_out(pairs), table.text(), options.out);
}

void calibrate(const CalibrateVerb& options) {
  Profile profile = profile_from_json(read_file(options.profile), options.profile);
  if (!profile.interval_factors.empty()) {
    throw Error(ErrorKind::kInput, options.profile,
                "is calibrated already; calibrate the profile that the probe wrote");
  }
  const std::filesystem::path path =
      options.common.db.empty() ? default_db_path() : options.common.db;
  const Pairs pairs = pairs_of(data::Store::open(path, data::Store::Mode::kReadOnly),
                               profile.device, options.hardware);
  const std::vector<sim::MetricCalibration> metrics = sim::calibrate_intervals(pairs.taken);
  if (metrics.empty()) {
    throw Error(
        ErrorKind::kInput, path.string(),
        fmt::format("holds {} pairs of prediction and measurement for {} (`lindos twin` makes one "
                    "of each scenario and plan), and {} are "
                    "needed to state an 80 % band and to check it{}",
                    pairs.taken.size(), profile.device, sim::kFewestPairs, left_out(pairs)));
  }
  for (const sim::MetricCalibration& m : metrics)
    profile.interval_factors.push_back({m.metric, m.factor, m.points});
  profile.date = utc_now().substr(0, 10);
  profile.source += fmt::format("; intervals calibrated on {} pairs measured on {}",
                                pairs.taken.size(), pairs.hardware);
  write_file(options.out, to_json(profile));
  print(options, pairs, metrics);
}

}  // namespace

void add_calibrate(CLI::App& app) {
  auto options = std::make_shared<CalibrateVerb>();
  CLI::App* verb = app.add_subcommand(
      "calibrate", "a profile whose intervals hold what they promise, from stored runs");
  verb->add_option("profile", options->profile, "profile that the predictions came from")
      ->required()
      ->type_name("PROFILE");
  verb->add_option("--out", options->out, "profile to write")->required()->type_name("FILE");
  verb->add_option("--hardware", options->hardware,
                   "that the runs were measured on; default: that of the newest")
      ->type_name("TEXT");
  add_common(*verb, options->common, true);
  verb->callback([options] { calibrate(*options); });
}

}  // namespace lindos::cli
