// SPDX-License-Identifier: Apache-2.0
#include "cli/session.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <variant>

#include <fmt/format.h>

#include "cli/signals.h"
#include "cli/version.h"
#include "data/catalogue.h"
#include "exec/probe/cuda_probe.h"
#include "exec/probe/probe.h"
#include "scenarios/capacity.h"
#include "scenarios/error.h"
#include "scenarios/made_for.h"
#include "scenarios/plan_json.h"
#include "scenarios/plan_pools.h"
#include "scenarios/text_file.h"
#include "sim/datasheet.h"

namespace lindos::cli {

std::string read_file(const std::filesystem::path& path) { return read_text_file(path, ""); }

namespace {

std::filesystem::path part_of(const std::filesystem::path& path) {
  return path.string() + fmt::format(".{}.part", ::getpid());
}

}  // namespace

void require_writable(const std::filesystem::path& path) {
  std::error_code ec;
  if (std::filesystem::is_directory(path, ec)) {
    throw Error(ErrorKind::kEnvironment, path.string(), "cannot be written: it is a folder");
  }
  const std::filesystem::path part = part_of(path);
  if (!std::ofstream(part, std::ios::binary)) {
    throw Error(ErrorKind::kEnvironment, path.string(), std::string("cannot be written: ") + std::strerror(errno));
  }
  std::filesystem::remove(part, ec);
}

void write_file(const std::filesystem::path& path, const std::string& text) {
  const std::filesystem::path part = part_of(path);
  std::ofstream out(part, std::ios::binary);
  out << text;
  out.close();
  std::error_code ec;
  if (out) std::filesystem::rename(part, path, ec);
  if (!out || ec) {
    const std::string why = ec ? ec.message() : std::strerror(errno);
    std::filesystem::remove(part, ec);
    throw Error(ErrorKind::kEnvironment, path.string(), "cannot be written: " + why);
  }
}

std::filesystem::path catalogue_folder(const CommonOptions& options) {
  return options.catalogue.empty() ? default_catalogue_dir() : std::filesystem::path(options.catalogue);
}

Catalogue open_catalogue(const CommonOptions& options) { return load_catalogue(catalogue_folder(options)); }

Session Session::open(const std::filesystem::path& scenario, const std::filesystem::path& plan,
                      const CommonOptions& options) {
  Session session;
  session.catalogue_dir = catalogue_folder(options);
  session.catalogue = load_catalogue(session.catalogue_dir);
  std::optional<PlanFile> instead;
  const std::string text = plan.empty() ? std::string() : read_file(plan);
  if (!plan.empty()) instead = PlanFile{plan_from_json(text, plan.string()), plan.string()};
  session.scenario = load_scenario(scenario, session.catalogue, instead ? &*instead : nullptr);
  if (!plan.empty()) check_made_for(text, session.scenario, plan.string());
  return session;
}

void Session::stamp(RunRecord& record, const Profile* profile) const {
  record.scenario_name = scenario.name;
  record.scenario_digest = digest(scenario);
  record.plan_digest = digest(scenario.plan);
  record.plan_name = scenario.plan.name;
  record.started_utc = utc_now();
  record.environment = current_environment();
  record.environment.catalogue_date = catalogue.date;
  if (profile != nullptr) record.environment.profile_digest = digest(*profile);
}

void require_context(const Scenario& scenario) {
  if (scenario.workload.kind != WorkloadKind::kServing) return;
  const std::int64_t longest = longest_request(scenario.workload.serving);
  for (const GroupPlan& group : scenario.plan.groups) {
    const std::int64_t context = group.limits.max_context;
    if (context == 0 || longest <= context) continue;
    throw Error(ErrorKind::kInput, scenario.name,
                fmt::format("prompt + output of up to {} tokens exceed max_context = {} of group \"{}\"; raise it "
                            "or shorten the requests",
                            longest, context, group.name));
  }
}

const GroupPlan& serving_group(const Scenario& scenario) {
  if (scenario.workload.kind != WorkloadKind::kServing) {
    throw Error(ErrorKind::kInput, scenario.name, "the engine serves inference; this scenario describes a training job");
  }
  if (scenario.plan.groups.size() != 1 || scenario.plan.groups.front().replicas != 1) {
    throw Error(ErrorKind::kInput, scenario.name,
                fmt::format("this machine runs one replica of one group; the plan has {} groups and {} replicas in the first",
                            scenario.plan.groups.size(), scenario.plan.groups.front().replicas));
  }
  if (scenario.plan.groups.front().role != Role::kBoth) {
    throw Error(ErrorKind::kInput, scenario.name,
                fmt::format("this machine runs replicas that prefill and decode; group \"{}\" does one of them only",
                            scenario.plan.groups.front().name));
  }
  return scenario.plan.groups.front();
}

namespace {

exec::CudaProbeRequest cuda_request(const Place& place) {
  exec::CudaProbeRequest request;
  request.gpu = *place.gpu;
  request.device = *place.device;
  if (!place.multiprocessors.empty()) request.multiprocessors = place.multiprocessors.front();
  return request;
}

}  // namespace

Profile probe_for(const Place& place, const Model& model, const std::vector<GroupPlan>& groups, Progress& progress) {
  const auto show = [&](const std::string& what, double fraction) { progress.update("probe: " + what, fraction); };
  Profile profile;
  if (place.gpu) {
    exec::CudaProbeRequest request = cuda_request(place);
    request.model = model;
    request.groups = groups;
    request.progress = show;
    request.cancelled = cancel_requested;
    profile = exec::cuda_probe(request);
  } else {
    exec::ProbeRequest request;
    request.model = model;
    request.groups = groups;
    request.cores = exec::usable_cores();
    request.progress = show;
    request.cancelled = cancel_requested;
    profile = exec::probe(request);
    if (place.device != nullptr) profile.device = place.device->name;
  }
  profile.git_revision = current_environment().git_revision;
  progress.finish_phase(fmt::format("probe    {}: {:.1f} GB/s read, {:.0f} GFLOP/s {}, {} samples", profile.label,
                                    profile.read_bandwidth.value() / 1e9, profile.matrix_rate.value() / 1e9,
                                    place.gpu ? "dense peak" : "matrix product",
                                    profile.gemm.size() + profile.attention.size() + profile.stream.size() +
                                        profile.collectives.size()));
  return profile;
}

Profile ceilings_of(const Place& place) {
  return place.gpu ? exec::cuda_ceilings(cuda_request(place)) : exec::probe_ceilings(exec::usable_cores());
}

namespace {

// What prices ops; a scenario may define a device of the catalogue's name with other figures.
bool same_figures(const Device& a, const Device& b) {
  return a.peak == b.peak && a.memory == b.memory && a.memory_bandwidth == b.memory_bandwidth &&
         a.scale_up_bandwidth == b.scale_up_bandwidth && a.compute_capability == b.compute_capability;
}

}  // namespace

std::map<std::string, Profile> distilled_profiles(const Session& session) {
  std::map<std::string, Profile> profiles;
  if (session.scenario.workload.kind != WorkloadKind::kServing) return profiles;
  for (const auto& [name, device] : session.scenario.devices) {
    const auto entry = session.catalogue.devices.find(name);
    if (entry == session.catalogue.devices.end() || !same_figures(entry->second, device)) continue;
    const std::filesystem::path file = distilled_profile(session.catalogue_dir, name);
    if (file.empty()) continue;
    Profile profile = profile_from_json(read_file(file), file.string());
    if (profile.device != name) {
      throw Error(ErrorKind::kInput, file.string(), fmt::format("is a profile of \"{}\"", profile.device));
    }
    profiles.emplace(name, std::move(profile));
  }
  return profiles;
}

std::string render_sources(const std::map<std::string, Profile>& profiles) {
  std::string out;
  for (const auto& [name, profile] : profiles) {
    out += profile.date.empty() ? fmt::format("  {}: {}\n", name, profile.source)
                                : fmt::format("  {}: profile of {}, {}\n", name, profile.date, profile.source);
  }
  return out;
}

std::map<std::string, Profile> profiles_for(const Session& session, const std::vector<std::string>& files,
                                            const Place& place, Progress& progress) {
  const Scenario& scenario = session.scenario;
  std::map<std::string, Profile> profiles;
  for (const std::string& file : files) {
    Profile profile = profile_from_json(read_file(file), file);
    if (scenario.devices.count(profile.device) == 0) {
      throw Error(ErrorKind::kInput, file,
                  fmt::format("is a profile of \"{}\", which this scenario does not use", profile.device));
    }
    const std::string name = profile.device;
    if (!profiles.emplace(name, std::move(profile)).second)
      throw Error(ErrorKind::kInput, file, fmt::format("is a second profile of \"{}\"", name));
  }
  std::map<std::string, Profile> distilled = distilled_profiles(session);
  for (const auto& [name, device] : scenario.devices) {
    if (profiles.count(name) > 0) continue;
    if (const auto known = distilled.find(name); known != distilled.end() && &device != place.device) {
      profiles.emplace(name, std::move(known->second));
    } else if (&device == place.device) {
      profiles.emplace(name, probe_for(place, scenario.model, scenario.plan.groups, progress));
    } else {
      profiles.emplace(name, sim::datasheet_profile(device));
    }
  }
  return profiles;
}

exec::EngineConfig engine_config(const Scenario& scenario, const Place& place,
                                 std::shared_ptr<const exec::Checkpoint> checkpoint, Bytes memory) {
  exec::EngineConfig config;
  config.backend = place.backend();
  config.model = scenario.model;
  config.group = serving_group(scenario);
  config.checkpoint = std::move(checkpoint);
  config.cores = exec::usable_cores();
  config.multiprocessors = place.multiprocessors;
  const double ranks = place.gpu_per_rank ? 1.0 : static_cast<double>(config.group.ranks_per_replica());
  if (!place.gpu) memory = device_memory_of_host(memory, config.group.limits);
  std::vector<std::vector<Bytes>> by_rank;
  for (const StagePlan& stage : config.group.stages) {
    by_rank.emplace_back(stage.ranks.size(), memory / ranks);
  }
  const auto capacity = kv_capacity(config.model, config.group, by_rank);
  if (const auto* infeasible = std::get_if<Infeasible>(&capacity)) {
    std::string where;
    if (place.gpu) {
      where = fmt::format("; {} has {:.1f} GB free of {:.1f} GB, for {}", place.gpu->name, memory.value() / 1e9,
                          place.gpu->memory.value() / 1e9, ranks == 1.0 ? "its rank" : "all ranks together");
    }
    throw Error(ErrorKind::kInfeasible, scenario.name, infeasible->reason + where);
  }
  config.kv_blocks = std::get<Capacity>(capacity).kv_blocks;
  config.host_blocks = std::get<Capacity>(capacity).host_blocks;
  return config;
}

std::optional<exec::DeviceTelemetry> telemetry_of(const Place& place) {
  if (!place.gpu) return std::nullopt;
  return exec::telemetry_of({{place.gpu->pci_bus_id, place.gpu->name}}, exec::cuda::libraries_of(*place.gpu));
}

std::optional<data::Store> open_store(const CommonOptions& options) {
  if (options.no_db) return std::nullopt;
  return data::Store::open(options.db.empty() ? default_db_path() : options.db, data::Store::Mode::kReadWrite);
}

void recall_products(const std::optional<data::Store>& store, exec::EngineConfig& config) {
  if (!store || config.backend != exec::Backend::kCuda) return;
  config.tuned = std::make_shared<exec::TunedProducts>(store->tuned_products());
}

void remember_products(std::optional<data::Store>& store, const exec::EngineConfig& config) {
  if (store && config.tuned) store->remember(config.tuned->take_found());
}

void store_records(std::optional<data::Store>& store, const Session& session,
                   const std::vector<data::NewRun>& runs, const Profile* profile) {
  if (!store) return;
  store->insert_together(runs, to_toml(session.scenario), to_json(session.scenario.plan),
                         profile != nullptr ? to_json(*profile) : std::string());
}

}  // namespace lindos::cli
