// SPDX-License-Identifier: Apache-2.0
// lindos export SCENARIO --to TOOL: a plan as the launch files of the tools that people already
// run.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <system_error>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/launch/launch.h"
#include "cli/session.h"
#include "cli/verbs.h"
#include "scenarios/error.h"
#include "scenarios/json_reader.h"
#include "scenarios/plan_json.h"
#include "scenarios/training_plan.h"

namespace lindos::cli {

namespace {

using JobWriter = std::vector<LaunchFile> (*)(const LaunchRequest&, const std::vector<Launch>&);

struct Target {
  Launcher engine = nullptr;  // null: --engine says which
  JobWriter jobs = nullptr;   // null: the engine's own files
};

struct ExportVerb {
  CommonOptions common;
  std::string scenario, plan, group, model, image, out = ".";
  Target target;
  Launcher engine = nullptr;
};

const std::vector<std::pair<std::string, Launcher>> kEngines = {
    {"vllm", launch_vllm},     {"sglang", launch_sglang},     {"trtllm", launch_trtllm},
    {"lindos", launch_lindos}, {"megatron", launch_megatron}, {"deepspeed", launch_deepspeed}};

// Micro-batches that the group left to the others are its own to say now.
Plan only_group(const Scenario& scenario, const std::string& name) {
  Plan plan = scenario.plan;
  const auto found = std::find_if(plan.groups.begin(), plan.groups.end(),
                                  [&](const GroupPlan& g) { return g.name == name; });
  if (found == plan.groups.end()) {
    std::vector<std::string> names;
    for (const GroupPlan& group : plan.groups) names.push_back(group.name);
    throw Error(ErrorKind::kUsage, "--group",
                fmt::format("the plan has no group \"{}\"{}", name, did_you_mean(name, names)));
  }
  if (found->role == Role::kTrain)
    found->training.micro_batches = micro_batches_of(plan, *found, scenario.workload.training);
  plan.groups = {*found};
  return plan;
}

std::vector<LaunchFile> files_of(const ExportVerb& options, const Scenario& scenario) {
  const Launcher engine = options.target.engine != nullptr ? options.target.engine : options.engine;
  if (engine == nullptr) {
    throw Error(ErrorKind::kUsage, "--engine",
                "this target starts an engine; say which: vllm, sglang, trtllm, lindos, megatron, "
                "deepspeed");
  }
  if (options.target.engine != nullptr && options.engine != nullptr) {
    throw Error(ErrorKind::kUsage, "--engine",
                "is for --to slurm and --to kubernetes; --to names the engine itself here");
  }
  const LaunchRequest request{scenario, options.model, options.image};
  const std::vector<Launch> launches = engine(request);
  if (options.target.jobs != nullptr) return options.target.jobs(request, launches);
  std::vector<LaunchFile> files;
  for (const Launch& launch : launches)
    files.insert(files.end(), launch.files.begin(), launch.files.end());
  return files;
}

// All files are known before the first is written.
std::vector<std::string> write_all(const std::vector<LaunchFile>& files,
                                   const std::filesystem::path& folder) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed)
    throw Error(ErrorKind::kEnvironment, folder.string(), "cannot be created: " + failed.message());
  std::vector<std::string> written;
  for (const LaunchFile& file : files) {
    const std::filesystem::path path = folder / file.name;
    write_file(path, file.text);
    if (file.executable) {
      using std::filesystem::perms;
      std::filesystem::permissions(path, perms::owner_exec | perms::group_exec | perms::others_exec,
                                   std::filesystem::perm_options::add, failed);
    }
    written.push_back(path.string());
  }
  return written;
}

void run(const ExportVerb& options) {
  Session session = Session::open(options.scenario, options.plan, options.common);
  if (!options.group.empty()) session.scenario.plan = only_group(session.scenario, options.group);
  const std::vector<std::string> written =
      write_all(files_of(options, session.scenario), options.out);
  if (options.common.format == Format::kJson) {
    fmt::print("{}\n", nlohmann::ordered_json{{"plan_digest", digest(session.scenario.plan)},
                                              {"files", written}}
                           .dump(2));
    return;
  }
  for (const std::string& path : written) fmt::print("{}\n", path);
}

}  // namespace

void add_export(CLI::App& app) {
  auto options = std::make_shared<ExportVerb>();
  CLI::App* verb = app.add_subcommand("export",
                                      "write a plan as launch files of vLLM, SGLang, TensorRT-LLM, "
                                      "Megatron-LM, DeepSpeed, Slurm, Kubernetes");
  verb->add_option("scenario", options->scenario, "scenario file")
      ->required()
      ->type_name("SCENARIO");
  verb->add_option("--plan", options->plan, "plan file instead of the scenario's own")
      ->type_name("FILE");
  std::vector<std::pair<std::string, Target>> targets;
  for (const auto& [name, launcher] : kEngines)
    targets.emplace_back(name, Target{launcher, nullptr});
  targets.emplace_back("slurm", Target{nullptr, slurm_jobs});
  targets.emplace_back("kubernetes", Target{nullptr, kubernetes_manifests});
  add_choice(*verb, "--to", options->target, targets, "whose files")->required();
  add_choice(*verb, "--engine", options->engine, kEngines,
             "what the jobs of slurm and kubernetes start");
  verb->add_option("--group", options->group, "only this group of the plan")->type_name("NAME");
  verb->add_option("--model", options->model,
                   "checkpoint that the scripts load; default: MODEL in their environment")
      ->type_name("PATH");
  verb->add_option("--image", options->image,
                   "container of the kubernetes pods; default: the engine's usual one")
      ->type_name("NAME");
  verb->add_option("--out", options->out, "folder of the files; default: the current one")
      ->type_name("FOLDER");
  add_common(*verb, options->common, false);
  verb->callback([options] { run(*options); });
}

}  // namespace lindos::cli
