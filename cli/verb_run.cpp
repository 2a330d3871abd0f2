// SPDX-License-Identifier: Apache-2.0
// lindos run [SCENARIO]: real inference on this machine; a measured RunRecord, or with --prompt an answer.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/measure.h"
#include "cli/preflight.h"
#include "cli/render.h"
#include "cli/session.h"
#include "cli/signals.h"
#include "cli/verbs.h"
#include "data/catalogue.h"
#include "exec/comm/launch.h"
#include "exec/probe/probe.h"
#include "exec/tokenizer/tokenizer.h"
#include "scenarios/error.h"
#include "scenarios/hf_config.h"
#include "scenarios/measured_device_map.h"
#include "scenarios/plan_json.h"
#include "scenarios/plan_pools.h"
#include "scenarios/timeline.h"

namespace lindos::cli {

namespace {

struct RunVerb {
  CommonOptions common;
  std::string scenario, plan, checkpoint, profile;
  std::optional<std::string> prompt;
  std::string weights = "random:1";
  std::string ranks = "threads";
  std::vector<int> multiprocessors;
  std::string all_reduce = "auto";
  int repeats = 3;
  std::int64_t max_tokens = 64;
  kernels::SamplingParameters sampling;
  DeviceChoice device = DeviceChoice::kAuto;
  bool preflight = false;
};

std::filesystem::path default_scenario() {
  return default_catalogue_dir().parent_path().parent_path() / "scenarios" / "this-machine.toml";
}

// The checkpoint's own architecture replaces the scenario's model; its plan, unless given, follows.
void adopt_checkpoint(Session& session, const RunVerb& options) {
  const std::filesystem::path config = std::filesystem::path(options.checkpoint) / "config.json";
  const HfConfig hf = parse_hf_config(read_file(config), config.string());
  if (!hf.quantization.empty()) {
    throw Error(ErrorKind::kInput, config.string(),
                fmt::format("/quantization_config: \"{}\" weights are not supported; use the unquantised checkpoint", hf.quantization));
  }
  session.scenario.model = hf.model;
  session.scenario.model.name = std::filesystem::weakly_canonical(options.checkpoint).filename().string();
  if (options.plan.empty()) {
    const EngineLimits limits = serving_group(session.scenario).limits;
    session.scenario.plan = default_plan(session.scenario);
    session.scenario.plan.groups.front().limits = limits;
  }
  const std::string where = options.plan.empty() ? "default plan" : options.plan;
  check_plan(session.scenario.plan, session.scenario, where);
}

// Starts this program once per rank and ends as they do: with their exit status, or cancelled.
[[noreturn]] void run_as_processes(std::int64_t ranks, const std::vector<std::string>& arguments) {
  std::vector<std::string> command = exec::mpirun_command(static_cast<int>(ranks));
  command.push_back(std::filesystem::read_symlink("/proc/self/exe").string());
  command.insert(command.end(), arguments.begin(), arguments.end());
  std::exit(exec::run_to_end(command, cancel_requested));
}

std::vector<std::string> own_arguments() {
  std::vector<std::string> arguments;
  const std::string text = read_file("/proc/self/cmdline");
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\0', begin);
    arguments.push_back(text.substr(begin, end - begin));
    begin = end == std::string::npos ? text.size() : end + 1;
  }
  arguments.erase(arguments.begin());
  return arguments;
}

void answer(const RunVerb& options, const Session& session, exec::Replica& replica) {
  const std::filesystem::path file = std::filesystem::path(options.checkpoint) / "tokenizer.json";
  const auto tokenizer = exec::load_tokenizer(file);
  const std::vector<std::int32_t> ids = tokenizer->encode(*options.prompt, true);
  if (ids.empty()) throw Error(ErrorKind::kUsage, "--prompt", "is empty");
  const Model& model = session.scenario.model;
  const std::int64_t limit = exec::context_limit(model, serving_group(session.scenario).limits);
  if (static_cast<std::int64_t>(ids.size()) >= limit) {
    throw Error(ErrorKind::kInput, "--prompt", fmt::format("has {} tokens; the context holds {}", ids.size(), limit));
  }
  RequestSpec request;
  request.prompt_tokens = static_cast<std::int64_t>(ids.size());
  request.output_tokens = std::min(options.max_tokens, limit - request.prompt_tokens);
  exec::RunOptions run_options;
  run_options.prompt = [&](const RequestSpec&) { return ids; };
  for (std::int64_t eos : model.eos_tokens) run_options.stop_tokens.push_back(static_cast<std::int32_t>(eos));
  run_options.cancelled = cancel_requested;
  const exec::EngineRun run = replica.run({request}, run_options);
  const std::vector<std::int32_t>& output = run.outcome.outputs.front();
  const std::string text = tokenizer->decode(output, true);
  const ServingSummary summary = summarise(run.outcome.timelines, Slo{});
  if (options.common.format == Format::kJson) {
    fmt::print("{}\n", nlohmann::ordered_json{{"prompt", *options.prompt},
                                              {"completion", text},
                                              {"prompt_ids", ids},
                                              {"output_ids", output},
                                              {"ttft_s", summary.ttft.count()},
                                              {"tpot_s", summary.tpot.count()}}
                           .dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
    return;
  }
  fmt::print("{}{}\n", *options.prompt, text);
  fmt::print(stderr, "\n{} prompt tokens, {} generated; first token after {:.1f} ms, then {:.2f} ms each (measured)\n",
             ids.size(), output.size(), summary.ttft.count() * 1e3, summary.tpot.count() * 1e3);
}

// What each process does once its ranks are known. `speaks`: the process that prints and stores.
void run_ranks(const RunVerb& options, const Session& session, const Place& place, bool mpi, bool speaks) {
  std::optional<data::Store> store;
  if (!options.prompt) require_context(session.scenario);
  // A prompt stores no run; on a GPU its engine has products to recall and to remember.
  if (speaks && (!options.prompt || place.gpu)) store = open_store(options.common);
  const std::shared_ptr<const exec::Checkpoint> weights = open_weights(options.weights, session.scenario);
  Progress progress(speaks ? options.common.progress : ProgressStyle::kNone, "run");

  Profile profile;
  if (!options.profile.empty()) {
    profile = profile_from_json(read_file(options.profile), options.profile);
  } else if (speaks && !options.prompt) {
    progress.update("ceilings", 0.0);
    profile = ceilings_of(place);
  }
  if (profile.memory.value() <= 0.0) profile.memory = exec::machine_memory();
  exec::EngineConfig config =
      engine_config(session.scenario, place, weights, place.gpu ? place.gpu->free_memory : profile.memory);
  config.sampling = options.sampling;
  config.all_reduce = options.all_reduce == "peer"   ? exec::AllReduce::kPeer
                      : options.all_reduce == "nccl" ? exec::AllReduce::kNccl
                                                     : exec::AllReduce::kAuto;
  recall_products(store, config);
  const auto replica = mpi ? exec::Replica::over_mpi(config) : exec::Replica::in_process(config);
  if (!replica->is_driver()) {
    replica->serve_as_worker();
    return;
  }
  remember_products(store, config);
  if (options.prompt) {
    answer(options, session, *replica);
    return;
  }
  const std::optional<exec::DeviceTelemetry> devices = telemetry_of(place);
  const Measurement measured = measure(session, config, *replica, profile,
                                       {options.repeats, devices ? &*devices : nullptr, mpi}, progress);
  const std::string timeline = to_json(measured.timeline);
  const std::optional<DeviceMap> map = measured_device_map(session.scenario, measured.samples);
  store_records(store, session, {data::NewRun(&measured.record, map ? &*map : nullptr, &measured.samples, &timeline)}, nullptr);
  fmt::print("{}\n", options.common.format == Format::kJson ? json_with(measured.record, measured.samples) : render(measured.record));
}

void require_a_gpu_per_rank(std::int64_t ranks) {
  const auto found = exec::cuda::devices();
  const auto gpus = static_cast<std::int64_t>(std::get<std::vector<exec::cuda::DeviceInfo>>(found).size());
  if (gpus >= ranks || exec::cuda::ranks_may_share_a_gpu()) return;
  throw Error(ErrorKind::kUsage, "--ranks",
              fmt::format("mpi takes a GPU per rank: the plan has {} ranks, this machine {} GPU{}; --ranks threads shares one", ranks,
                          gpus, gpus == 1 ? "" : "s"));
}

// Says all of it, then ends as a plan that does not fit when something fails.
void print_preflight(const RunVerb& options, const Session& session) {
  const std::vector<PreflightCheck> checks =
      preflight(session, options.common, {options.device, options.weights, options.profile});
  std::string failed;
  for (const PreflightCheck& check : checks) {
    if (check.state == CheckState::kFailed) failed += (failed.empty() ? "" : ", ") + check.what;
  }
  if (options.common.format == Format::kJson) {
    auto rows = nlohmann::ordered_json::array();
    for (const PreflightCheck& check : checks)
      rows.push_back({{"what", check.what}, {"state", name_of(check.state)}, {"found", check.found}});
    fmt::print("{}\n", nlohmann::ordered_json{{"ready", failed.empty()}, {"checks", rows}}.dump(2));
  } else {
    for (const PreflightCheck& check : checks) fmt::print("{:<8} {:<17} {}\n", name_of(check.state), check.what, check.found);
  }
  if (!failed.empty()) throw Error(ErrorKind::kInfeasible, session.scenario.name, "cannot run here, failed: " + failed);
}

void execute(RunVerb& options) {
  const bool mpi = options.ranks == "mpi";
  if (options.prompt && options.checkpoint.empty()) {
    throw Error(ErrorKind::kUsage, "", "--prompt needs --checkpoint with a tokenizer.json");
  }
  if (!options.checkpoint.empty()) options.weights = options.checkpoint;
  Session session = Session::open(options.scenario.empty() ? default_scenario() : std::filesystem::path(options.scenario),
                                  options.checkpoint.empty() ? options.plan : "", options.common);
  if (!options.checkpoint.empty()) {
    if (!options.plan.empty()) session.scenario.plan = plan_from_json(read_file(options.plan), options.plan);
    adopt_checkpoint(session, options);
  }
  if (options.preflight) return print_preflight(options, session);
  if (mpi && exec::launched_by_mpi()) exec::cuda::take_own_device();
  Place place = place_of(session.scenario, options.device);
  place.gpu_per_rank = mpi && place.gpu.has_value();
  if (!options.multiprocessors.empty()) {
    if (!place.gpu || mpi) {
      throw Error(ErrorKind::kUsage, "--multiprocessors", "cuts one GPU among the threads that share it; this run has none");
    }
    place.multiprocessors = options.multiprocessors;
  }
  if (options.all_reduce != "auto" && !place.gpu) {
    throw Error(ErrorKind::kUsage, "--all-reduce", "is about ranks on GPUs; this run is on the CPU");
  }
  if (options.all_reduce == "nccl" && !mpi) {
    throw Error(ErrorKind::kUsage, "--all-reduce", "nccl wants a process per rank: --ranks mpi");
  }
  const GroupPlan& group = serving_group(session.scenario);
  if (mpi && place.gpu && !exec::launched_by_mpi()) require_a_gpu_per_rank(group.ranks_per_replica());
  if (mpi && !exec::launched_by_mpi() && group.ranks_per_replica() > 1) {
    run_as_processes(group.ranks_per_replica(), own_arguments());
  }

  if (!mpi) {
    run_ranks(options, session, place, false, true);
    return;
  }
  exec::MpiSession processes(nullptr, nullptr);
  try {
    run_ranks(options, session, place, true, processes.rank() == 0);
  } catch (const Error& e) {
    // The other ranks wait for this one: without an abort they would wait for ever.
    fmt::print(stderr, "lindos: rank {}: {}\n", processes.rank(), e.what());
    processes.abort(e.exit_code());
  }
}

}  // namespace

void add_run(CLI::App& app) {
  auto options = std::make_shared<RunVerb>();
  CLI::App* verb = app.add_subcommand("run", "real inference on this machine, measured");
  verb->add_option("scenario", options->scenario, "scenario file [this machine's default]")->type_name("SCENARIO");
  verb->add_option("--plan", options->plan, "plan file instead of the scenario's own")->type_name("FILE");
  auto* checkpoint = verb->add_option("--checkpoint", options->checkpoint, "model folder in Hugging Face layout; replaces the scenario's model")
                         ->type_name("DIR");
  verb->add_option("--weights", options->weights, "synthetic weights for the scenario's model")
      ->type_name("random:SEED")
      ->excludes(checkpoint);
  verb->add_option("--prompt", options->prompt, "answer this text instead of running the workload")->type_name("TEXT");
  verb->add_option("--max-tokens", options->max_tokens, "tokens to generate for --prompt")->check(CLI::Range(1, 1 << 20));
  verb->add_option("--temperature", options->sampling.temperature, "0 = greedy")->check(CLI::Range(0.0, 100.0));
  verb->add_option("--top-k", options->sampling.top_k, "draw from the k likeliest; 0 = no limit")->check(CLI::Range(0, 1 << 20));
  verb->add_option("--top-p", options->sampling.top_p, "draw from the smallest set with this probability")->check(CLI::Range(0.0, 1.0));
  verb->add_option("--sampling-seed", options->sampling.seed, "seed of the draws");
  verb->add_option("--profile", options->profile, "profile of this machine, for the ceilings")->type_name("FILE");
  verb->add_option("--ranks", options->ranks, "ranks as threads of this process or as MPI processes")
      ->check(CLI::IsMember({"threads", "mpi"}));
  verb->add_option("--multiprocessors", options->multiprocessors,
                   "ranks that share a GPU keep to parts of it: how many of its multiprocessors each, in the plan's order (40,80)")
      ->delimiter(',')
      ->check(CLI::Range(1, 100'000));
  verb->add_option("--all-reduce", options->all_reduce,
                   "how ranks on GPUs add their parts: in peer memory, by NCCL, or [auto] the first that they can")
      ->check(CLI::IsMember({"auto", "peer", "nccl"}));
  verb->add_option("--repeats", options->repeats, "measured runs")->check(CLI::Range(1, 1000));
  verb->add_flag("--preflight", options->preflight, "say what stands in the way of a run here, and run nothing")
      ->excludes("--prompt");
  add_device(*verb, options->device);
  add_common(*verb, options->common, true);
  verb->callback([options] { execute(*options); });
}

}  // namespace lindos::cli
