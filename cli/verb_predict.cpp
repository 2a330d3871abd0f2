// SPDX-License-Identifier: Apache-2.0
// lindos predict SCENARIO: metrics with intervals and the ledger, without running anything.
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "cli/explain.h"
#include "cli/render.h"
#include "cli/session.h"
#include "cli/signals.h"
#include "cli/verbs.h"
#include "scenarios/error.h"
#include "scenarios/run_timeline.h"
#include "scenarios/text_layout.h"
#include "sim/predict.h"
#include "sim/training/predict_training.h"

namespace lindos::cli {

namespace {

// The closed rung takes of the arrivals what a formula can (docs/sim.md, "Ladder of fidelity").
void say_what_is_left_out(const Scenario& scenario, sim::Fidelity fidelity, Progress& progress) {
  if (fidelity != sim::Fidelity::kClosed || scenario.workload.kind != WorkloadKind::kServing ||
      scenario.workload.serving.arrival == Arrival::kTogether) {
    return;
  }
  if (scenario.workload.serving.arrival == Arrival::kClosedLoop) {
    progress.finish_phase("closed   clients count in waves: all begin when the last of a wave ended; maxplus lets each go on");
    return;
  }
  progress.finish_phase("closed   arrivals count by their mean rate: bursts and queues are left out; maxplus has them");
}

}  // namespace

void add_predict(CLI::App& app) {
  struct Options {
    CommonOptions common;
    std::string scenario, plan, out, timeline;
    std::vector<std::string> profiles;
    bool explain = false;
    sim::PredictOptions predict;
  };
  auto options = std::make_shared<Options>();
  options->predict.fidelity = sim::Fidelity::kSimgrid;
  CLI::App* verb = app.add_subcommand("predict", "what a plan will do: metrics with intervals, where the time goes");
  verb->add_option("scenario", options->scenario, "scenario file")->required()->type_name("SCENARIO");
  verb->add_option("--plan", options->plan, "plan file instead of the scenario's own")->type_name("FILE");
  verb->add_option("--profile", options->profiles, "profile of the device (lindos probe --out) instead of a fresh probe")
      ->allow_extra_args(false)
      ->type_name("FILE");
  add_choice<sim::Fidelity>(*verb, "--fidelity", options->predict.fidelity,
                            {{"closed", sim::Fidelity::kClosed},
                             {"maxplus", sim::Fidelity::kMaxplus},
                             {"simgrid", sim::Fidelity::kSimgrid}},
                            "closed: formula; maxplus: every step; simgrid: every message")
      ->default_str("simgrid");
  verb->add_option("--seeds", options->predict.draws, "Monte Carlo draws behind the intervals")->check(CLI::Range(1, 100000));
  verb->add_option("--seed", options->predict.seed, "seed of the draws")->check(CLI::Range(0.0, 9007199254740992.0));
  verb->add_option("--goodput-width", options->predict.goodput_width,
                   "serving: how wide the 95 % interval of goodput from simulating a sample of the replicas may be, "
                   "as a share of it (0.02); 0 = simulate all")
      ->check(CLI::Range(0.0, 1.0));
  verb->add_flag("--explain", options->explain,
                 "training: what each cause costs, and which changes would recover how much");
  verb->add_option("--out", options->out, "folder for the scenarios and plans of --explain")->type_name("DIR")->needs("--explain");
  verb->add_option("--timeline", options->timeline,
                   "write spans of one training step, or of the first requests of a replica of "
                   "each group: trace events "
                   "for lindos-gui, ui.perfetto.dev, chrome://tracing")
      ->type_name("FILE");
  add_common(*verb, options->common, true);
  verb->callback([options] {
    Progress progress(options->common.progress, "predict");
    const Session session = Session::open(options->scenario, options->plan, options->common);
    require_context(session.scenario);
    if (!options->timeline.empty()) require_writable(options->timeline);
    auto store = open_store(options->common);
    const auto profiles = profiles_for(session, options->profiles, {host_device(session.scenario), {}}, progress);
    say_what_is_left_out(session.scenario, options->predict.fidelity, progress);
    options->predict.progress = [&](double fraction) { progress.update("predict", fraction); };
    options->predict.cancelled = cancel_requested;
    const bool json = options->common.format == Format::kJson;
    const Profile* profile = profiles.empty() ? nullptr : &profiles.begin()->second;
    std::optional<DeviceMap> devices;
    std::optional<RunTimeline> timeline;
    if (!options->timeline.empty()) options->predict.timeline = [&timeline](RunTimeline t) { timeline = std::move(t); };
    std::optional<RunSamples> samples;
    options->predict.samples = [&samples](RunSamples over_time) { samples = std::move(over_time); };
    if (store) options->predict.devices = [&devices](DeviceMap map) { devices = std::move(map); };
    const auto keep = [&](RunRecord& record) {
      session.stamp(record, profile);
      store_records(store, session,
                    {data::NewRun(&record, devices ? &*devices : nullptr, samples ? &*samples : nullptr)}, profile);
      if (!timeline) return;
      timeline->profile_digest = record.environment.profile_digest;
      write_file(options->timeline, to_json(*timeline));
      progress.finish_phase(fmt::format("timeline {} in {}: open it in lindos-gui or ui.perfetto.dev",
                                        plural(static_cast<std::int64_t>(timeline->spans.size()), "span"),
                                        options->timeline));
    };
    if (!options->explain) {
      RunRecord record = sim::predict(session.scenario, profiles, options->predict);
      keep(record);
      fmt::print("{}\n", json ? (samples ? json_with(record, *samples) : to_json(record))
                              : render(record) + (samples ? render_limits(*samples) : "") + render_sources(profiles));
      return;
    }
    if (options->predict.fidelity == sim::Fidelity::kSimgrid && session.scenario.workload.kind == WorkloadKind::kTraining) {
      fmt::print(stderr, "--explain prices every change by maxplus: links that are shared count only in a prediction at event "
                         "level (lindos predict without --explain)\n");
    }
    sim::Explanation explanation = sim::explain_training(session.scenario, profiles, options->predict);
    keep(explanation.record);
    if (!options->out.empty()) {
      const int written = write_scenarios(explanation, options->out);
      fmt::print(stderr, "{} scenarios with their plans in {}; price one: lindos predict {}/together.toml\n", written,
                 options->out, options->out);
    }
    fmt::print("{}\n", json ? to_json(explanation) : render(explanation));
  });
}

}  // namespace lindos::cli
