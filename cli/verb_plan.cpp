// SPDX-License-Identifier: Apache-2.0
// lindos plan SCENARIO: which plan is best, against what baselines, and what was left out for what reason.
#include <cstdlib>
#include <map>
#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/plan_report.h"
#include "cli/serving_plan_report.h"
#include "cli/session.h"
#include "cli/signals.h"
#include "cli/sweep.h"
#include "cli/verbs.h"
#include "data/catalogue.h"
#include "scenarios/error.h"
#include "scenarios/json_reader.h"
#include "scenarios/made_for.h"
#include "sim/planner/few_devices.h"
#include "sim/planner/fit_here.h"
#include "sim/planner/plan_serving.h"
#include "sim/planner/plan_training.h"

namespace lindos::cli {

namespace {

struct PlanVerb {
  CommonOptions common;
  std::string scenario, out;
  std::string objective;                // empty: the workload's first
  std::vector<std::string> pools, profiles, dtypes, what_if;
  std::int64_t most_batch = 0;
  bool same_workload = false;
  bool fit_here = false;
  bool together = false;
  sim::LostUnit survives = sim::LostUnit::kNothing;
  int top = 3;
  int jobs = 0;
  sim::PredictOptions predict;
};

// The name's value among `choices`; the first without a name.
template <class Objective>
Objective objective_of(const std::string& name, const char* workload, const std::vector<Objective>& choices) {
  if (name.empty()) return choices.front();
  std::vector<std::string> names;
  for (const Objective choice : choices) {
    if (name == sim::name_of(choice)) return choice;
    names.emplace_back(sim::name_of(choice));
  }
  throw Error(ErrorKind::kUsage, "--objective",
              fmt::format("expected {} for {}, saw \"{}\"{}", fmt::join(names, ", "), workload, name, did_you_mean(name, names)));
}

void plan_training(const PlanVerb& options, const Session& session, const sim::PredictOptions& predict) {
  if (options.fit_here) {
    throw Error(ErrorKind::kUsage, "--fit-here", "the engine serves inference; a training plan has no form that runs here");
  }
  sim::TrainingQuestion question;
  question.objective = objective_of<sim::TrainingObjective>(
      options.objective, "training",
      {sim::TrainingObjective::kRun, sim::TrainingObjective::kStep, sim::TrainingObjective::kMfu,
       sim::TrainingObjective::kPower});
  question.pools = options.pools;
  question.free_ways = !options.same_workload;
  question.most_batch = options.most_batch;
  question.top = options.top;
  question.predict = predict;
  sim::TrainingAnswer answer = sim::plan_training(session.scenario, distilled_profiles(session), question);
  for (auto* plans : {&answer.plans, &answer.baselines}) {
    for (sim::PlannedTraining& plan : *plans) {
      Session own = session;
      own.scenario = plan.scenario;
      own.stamp(plan.record, nullptr);
    }
  }
  std::vector<std::string> files;
  if (!options.out.empty()) files = write_plans(answer, options.out);
  fmt::print("{}\n", options.common.format == Format::kJson
                         ? to_json(answer, question.objective, session.scenario, files)
                         : render(answer, question.objective));
}

// Those of one machine are probed for the shapes of every plan that is looked at.
std::map<std::string, Profile> serving_profiles(const PlanVerb& options, const Session& session, Progress& progress) {
  Session probed = session;
  const Place place{host_device(probed.scenario), {}};
  if (place.device != nullptr && options.profiles.empty()) {
    const std::map<std::string, Profile> ceilings = {{place.device->name, ceilings_of(place)}};
    std::vector<GroupPlan> groups;
    for (const Plan& plan : sim::few_plans(session.scenario, ceilings))
      groups.insert(groups.end(), plan.groups.begin(), plan.groups.end());
    probed.scenario.plan.groups = std::move(groups);
  }
  if (place.device == nullptr && options.profiles.empty()) return distilled_profiles(session);
  return profiles_for(probed, options.profiles, place, progress);
}

// The best plan in small: fit-here.json and fit-here.toml.
void write_fitted(const PlanVerb& options, const Scenario& fleet, const Plan& plan, Progress& progress) {
  const std::filesystem::path scenarios = default_catalogue_dir().parent_path().parent_path() / "scenarios";
  const Session here = Session::open(scenarios / "this-machine.toml", {}, options.common);
  const Profile ceilings = ceilings_of({host_device(here.scenario), {}});
  const Scenario fitted = sim::fit_here(fleet, plan, here.scenario, {ceilings.cores, ceilings.memory});
  const std::filesystem::path file = std::filesystem::path(options.out) / "fit-here.toml";
  write_file(file, to_toml(fitted));
  write_file(std::filesystem::path(file).replace_extension(".json"), lindos::to_json(fitted.plan, fitted));
  progress.finish_phase(fmt::format("fitted   {} for this machine: lindos run {}", fitted.model.name, file.string()));
}

void plan_serving(const PlanVerb& options, const Session& session, const sim::PredictOptions& predict,
                  Progress& progress) {
  sim::ServingQuestion question;
  question.objective = objective_of<sim::ServingObjective>(
      options.objective, "serving", {std::begin(sim::kServingObjectives), std::end(sim::kServingObjectives)});
  question.pools = options.pools;
  for (const std::string& name : options.dtypes) {
    const auto dtype = find_dtype(name);
    if (!dtype) throw Error(ErrorKind::kUsage, "--dtypes", fmt::format("unknown number format \"{}\"", name));
    question.dtypes.push_back(*dtype);
  }
  question.apart = !options.together;
  question.survives = options.survives;
  question.top = options.top;
  question.predict = predict;
  const auto profiles = serving_profiles(options, session, progress);
  const bool few = sim::is_few(session.scenario);
  const sim::ServingAnswer answer =
      few ? sim::plan_few(session.scenario, profiles, question) : sim::plan_serving(session.scenario, profiles, question);
  std::vector<std::string> files;
  if (!options.out.empty()) files = write_plans(answer, options.out);
  if (options.fit_here) write_fitted(options, session.scenario, answer.plans.front().scenario.plan, progress);
  fmt::print("{}\n", options.common.format == Format::kJson ? to_json(answer, session.scenario, question, files)
                                                            : render(answer, session.scenario, question));
}

// Of the child processes that answer a sweep's points.
std::vector<std::string> arguments_of(const PlanVerb& options) {
  std::vector<std::string> words = {"--top", std::to_string(options.top), "--seeds",
                                    std::to_string(options.predict.draws), "--fidelity",
                                    sim::name_of(options.predict.fidelity)};
  const auto add = [&](const char* option, const std::string& value) {
    if (value.empty()) return;
    words.emplace_back(option);
    words.push_back(value);
  };
  add("--objective", options.objective);
  for (const std::string& profile : options.profiles) add("--profile", profile);
  add("--catalogue", options.common.catalogue.string());
  add("--pools", fmt::format("{}", fmt::join(options.pools, ",")));
  add("--dtypes", fmt::format("{}", fmt::join(options.dtypes, ",")));
  if (options.most_batch > 0) add("--most-batch", std::to_string(options.most_batch));
  if (options.same_workload) words.emplace_back("--same-workload");
  if (options.together) words.emplace_back("--together");
  if (options.survives != sim::LostUnit::kNothing) add("--survives", sim::name_of(options.survives));
  return words;
}

void sweep(const PlanVerb& options, const Session& session, Progress& progress) {
  SweepQuestion question;
  question.folder = options.out;
  question.processes = options.jobs;
  question.arguments = arguments_of(options);
  for (const std::string& text : options.what_if) {
    std::vector<Setting> axis = parse_settings(text, "--what-if");
    if (axis.front().key != "seed") {
      question.axes.push_back(std::move(axis));
      continue;
    }
    for (const Setting& setting : axis) {
      char* end = nullptr;
      question.seeds.push_back(std::strtoull(setting.value.c_str(), &end, 10));
      if (end == setting.value.c_str() || *end != '\0')
        throw Error(ErrorKind::kUsage, "--what-if", "seed: expected a whole number, saw \"" + setting.value + "\"");
    }
  }
  if (question.seeds.empty()) question.seeds = {options.predict.seed};
  std::vector<SweepPoint> points = points_of(question);
  const std::size_t answered = run_sweep(question, session.scenario, points, progress);
  if (answered < points.size()) {
    progress.warn(fmt::format("{} of {} points are answered; the others are another task's part", answered, points.size()));
  }
  fmt::print("{}\n", options.common.format == Format::kJson ? sweep_json(question, points) : render_sweep(question, points));
}

void execute(const PlanVerb& options) {
  Progress progress(options.common.progress, "plan");
  const Session session = Session::open(options.scenario, {}, options.common);
  if (!options.what_if.empty()) return sweep(options, session, progress);
  sim::PredictOptions predict = options.predict;
  predict.progress = [&](double fraction) { progress.update("plan", fraction); };
  predict.cancelled = cancel_requested;
  if (session.scenario.workload.kind == WorkloadKind::kTraining) {
    plan_training(options, session, predict);
  } else {
    plan_serving(options, session, predict, progress);
  }
  if (!options.out.empty()) {
    progress.finish_phase(fmt::format("plans    in {0}; price one: lindos predict {0}/plan-1.toml", options.out));
  }
}

}  // namespace

void add_plan(CLI::App& app) {
  auto options = std::make_shared<PlanVerb>();
  options->predict.draws = 50;
  CLI::App* verb = app.add_subcommand("plan", "which plan is best for a scenario, and by how much");
  verb->add_option("scenario", options->scenario, "scenario file")->required()->type_name("SCENARIO");
  verb->add_option("--top", options->top, "plans to show")->check(CLI::Range(1, 100))->default_str("3");
  auto* out = verb->add_option("--out", options->out, "folder for plan-N.json and the scenario of each, plan-N.toml")
                  ->type_name("DIR");
  verb->add_option("--objective", options->objective,
                   "training: run (tokens/s, failures included), step (of a running step), mfu or power (of a running "
                   "step; tokens/s per MW; no slower than the scenario's plan). serving: goodput (requests/s that keep "
                   "the promises), power or cost (their tokens/s per MW or per dollar, for at least the scenario's rate)")
      ->type_name("NAME");
  verb->add_option("--pools", options->pools, "pools that may be used; all when absent")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("POOL,…");
  verb->add_option("--most-batch", options->most_batch,
                   "training: sequences per step up to which the batch may grow; it stays when absent")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40));
  verb->add_flag("--same-workload", options->same_workload,
                 "training: keep the scenario's recomputation and micro-batch size, so that a plan file fits it as it is");
  verb->add_option("--dtypes", options->dtypes, "serving: number formats of weights to choose from; the plan's when absent")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("DTYPE,…");
  verb->add_flag("--together", options->together,
                 "serving: no replicas that only compute prompts or only decode");
  add_choice<sim::LostUnit>(*verb, "--survives", options->survives,
                            {{"nothing", sim::LostUnit::kNothing},
                             {"node", sim::LostUnit::kNode},
                             {"rack", sim::LostUnit::kRack}},
                            "serving: count the load that is left without the node or rack whose loss costs most")
      ->default_str("nothing");
  verb->add_option("--profile", options->profiles, "profile of a device (lindos probe --out) instead of a fresh probe")
      ->allow_extra_args(false)
      ->type_name("FILE");
  add_choice<sim::Fidelity>(*verb, "--fidelity", options->predict.fidelity,
                            {{"closed", sim::Fidelity::kClosed},
                             {"maxplus", sim::Fidelity::kMaxplus},
                             {"simgrid", sim::Fidelity::kSimgrid}},
                            "rung at which the short list and the baselines are priced")
      ->default_str("maxplus");
  verb->add_option("--seeds", options->predict.draws, "Monte Carlo draws behind the intervals")
      ->check(CLI::Range(1, 100000))
      ->default_str("50");
  verb->add_option("--seed", options->predict.seed, "seed of the draws")->check(CLI::Range(0.0, 9007199254740992.0));
  verb->add_option("--what-if", options->what_if,
                   "the same question with another figure of the scenario, such as power.site_cap=250 MW,300 MW; several: "
                   "all combinations; seed=1,2,3 for the draws. Goes on where it stood")
      ->type_name("KEY=VALUE,…")
      ->allow_extra_args(false)
      ->needs(out);
  verb->add_flag("--fit-here", options->fit_here,
                 "serving: also the best plan in small, for the ranks of this machine: fit-here.toml, which lindos run takes")
      ->needs(out);
  verb->add_option("--jobs", options->jobs, "processes of a sweep at once; one per core when absent")
      ->check(CLI::Range(1, 4096));
  add_common(*verb, options->common, false);
  verb->callback([options] { execute(*options); });
}

}  // namespace lindos::cli
