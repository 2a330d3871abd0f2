// SPDX-License-Identifier: Apache-2.0
// lindos twin SCENARIO: the whole loop on this machine: probe → predict → run → compare.
#include <memory>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "cli/measure.h"
#include "cli/render.h"
#include "cli/session.h"
#include "cli/signals.h"
#include "cli/verbs.h"
#include "scenarios/error.h"
#include "scenarios/measured_device_map.h"
#include "scenarios/run_timeline.h"
#include "sim/predict.h"

namespace lindos::cli {

namespace {

// The prediction gives each rank a device of its own.
void require_device_each(const Scenario& scenario, const Place& place) {
  const std::int64_t ranks = serving_group(scenario).ranks_per_replica();
  if (!place.gpu || ranks == 1) return;
  throw Error(ErrorKind::kInfeasible, scenario.name,
              fmt::format("the plan has {} ranks on a GPU each, and the engine would run them on one {}: the two cannot be "
                          "compared. Plan one rank; `lindos run` measures several on one GPU",
                          ranks, place.gpu->name));
}

}  // namespace

void add_twin(CLI::App& app) {
  struct Options {
    CommonOptions common;
    std::string scenario, plan, timeline;
    std::vector<std::string> profiles;
    std::string weights = "random:1";
    int repeats = 3;
    DeviceChoice device = DeviceChoice::kAuto;
  };
  auto options = std::make_shared<Options>();
  CLI::App* verb = app.add_subcommand("twin", "the whole loop on this machine: probe, predict, run, compare");
  verb->add_option("scenario", options->scenario, "scenario file")->required()->type_name("SCENARIO");
  verb->add_option("--plan", options->plan, "plan file instead of the scenario's own")->type_name("FILE");
  verb->add_option("--profile", options->profiles, "profile of this machine (lindos probe --out) instead of a fresh probe")
      ->allow_extra_args(false)
      ->type_name("FILE");
  verb->add_option("--weights", options->weights, "checkpoint folder, or random:SEED")->type_name("DIR|random:SEED");
  verb->add_option("--repeats", options->repeats, "measured runs")->check(CLI::Range(1, 1000));
  verb->add_option("--timeline", options->timeline,
                   "write spans of the prediction, as lindos predict --timeline; those of the run are in the store")
      ->type_name("FILE");
  add_device(*verb, options->device);
  add_common(*verb, options->common, true);
  verb->callback([options] {
    Progress progress(options->common.progress, "twin");
    const Session session = Session::open(options->scenario, options->plan, options->common);
    const Place place = place_of(session.scenario, options->device);
    require_device_each(session.scenario, place);
    require_context(session.scenario);
    if (!options->timeline.empty()) require_writable(options->timeline);
    auto store = open_store(options->common);
    const auto profiles = profiles_for(session, options->profiles, place, progress);
    const Profile& profile = profiles.at(place.device->name);

    sim::PredictOptions predict;
    predict.fidelity = sim::Fidelity::kSimgrid;
    predict.backend = "thread";
    predict.progress = [&](double fraction) { progress.update("predict", fraction); };
    predict.cancelled = cancel_requested;
    std::optional<RunTimeline> foreseen;
    if (!options->timeline.empty()) predict.timeline = [&foreseen](RunTimeline t) { foreseen = std::move(t); };
    std::optional<RunSamples> samples;
    predict.samples = [&samples](RunSamples over_time) { samples = std::move(over_time); };
    std::optional<DeviceMap> devices_foreseen;
    if (store) predict.devices = [&devices_foreseen](DeviceMap map) { devices_foreseen = std::move(map); };
    RunRecord predicted = sim::predict(session.scenario, profiles, predict);
    session.stamp(predicted, &profile);
    if (foreseen) {
      foreseen->profile_digest = predicted.environment.profile_digest;
      write_file(options->timeline, to_json(*foreseen));
    }
    progress.finish_phase(fmt::format("predict  {} with {} draws", predicted.fidelity, predicted.repeats));
    progress.partial(predicted);

    exec::EngineConfig config =
        engine_config(session.scenario, place, open_weights(options->weights, session.scenario),
                      place.gpu ? place.gpu->free_memory : profile.memory);
    recall_products(store, config);
    const auto replica = exec::Replica::in_process(config);
    remember_products(store, config);
    const std::optional<exec::DeviceTelemetry> devices = telemetry_of(place);
    const Measurement measurement =
        measure(session, config, *replica, profile, {options->repeats, devices ? &*devices : nullptr, false}, progress);
    const RunRecord& measured = measurement.record;
    const std::string timeline = to_json(measurement.timeline);
    const std::optional<DeviceMap> map = measured_device_map(session.scenario, measurement.samples);
    store_records(store, session, {data::NewRun(&predicted, devices_foreseen ? &*devices_foreseen : nullptr, samples ? &*samples : nullptr),
                                   data::NewRun(&measured, map ? &*map : nullptr, &measurement.samples, &timeline)}, &profile);
    if (options->common.format == Format::kJson) {
      fmt::print("{}\n", comparison_json(predicted, measured));
    } else {
      fmt::print("\n{}", render_comparison(predicted, measured));
      if (!options->common.no_db) {
        fmt::print("\nboth records stored in {}\n",
                   (options->common.db.empty() ? default_db_path() : options->common.db).string());
      }
    }
  });
}

}  // namespace lindos::cli
