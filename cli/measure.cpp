// SPDX-License-Identifier: Apache-2.0
#include "cli/measure.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "cli/signals.h"
#include "exec/telemetry/live_sampler.h"
#include "exec/telemetry/measured_record.h"
#include "exec/telemetry/measured_timeline.h"
#include "scenarios/error.h"
#include "scenarios/metrics.h"

namespace lindos::cli {

std::shared_ptr<const exec::Checkpoint> open_weights(const std::string& name, const Scenario& scenario) {
  constexpr std::string_view kRandom = "random:";
  if (name.rfind(kRandom, 0) == 0) {
    std::uint64_t seed = 0;
    const char* first = name.data() + kRandom.size();
    const char* last = name.data() + name.size();
    const auto [end, error] = std::from_chars(first, last, seed);
    if (error != std::errc{} || end != last || first == last) {
      throw Error(ErrorKind::kUsage, "--weights", fmt::format("expected random:SEED with a whole number, saw \"{}\"", name));
    }
    return exec::make_synthetic(scenario.model, seed, exec::read_dtype(serving_group(scenario).weight_dtype));
  }
  std::shared_ptr<const exec::Checkpoint> checkpoint = exec::open_safetensors(name);
  exec::check_tensors(*checkpoint, scenario.model);
  return checkpoint;
}

namespace {

void warn_above_ceilings(const RunRecord& record, Progress& progress) {
  std::string values;
  for (const std::string& name : exec::above_ceilings(record)) {
    const Metric& metric = metric_or_throw(name);
    values += fmt::format("{}{} {}", values.empty() ? "" : ", ", metric.label,
                          format_value(metric, record.metrics.at(name).p50));
  }
  if (values.empty()) return;
  progress.warn(values +
                ": above 100 %, so the ceilings are too low: the machine was busy while they were probed, or the weights "
                "came from its caches. Utilisation and the ledger refer to them; probe again on an idle machine");
}

}  // namespace

Measurement measure(const Session& session, const exec::EngineConfig& config, exec::Replica& replica,
                    const Profile& ceilings, const MeasureOptions& how, Progress& progress) {
  const int repeats = how.repeats;
  const exec::DeviceTelemetry* devices = how.devices;
  const Workload& workload = session.scenario.workload;
  const std::vector<RequestSpec> requests = generate_requests(workload.serving, workload.seed);
  exec::RunOptions options;
  options.prompt = [&](const RequestSpec& r) { return exec::synthetic_prompt(r, workload.seed, config.model.vocab); };
  options.cancelled = cancel_requested;

  std::vector<RequestSpec> warm_up(requests.begin(), requests.begin() + std::min<std::ptrdiff_t>(2, std::ssize(requests)));
  for (RequestSpec& r : warm_up) {
    r.arrival = Seconds{0};
    r.on_completion = false;
    r.output_tokens = std::min<std::int64_t>(r.output_tokens, 4);
  }
  progress.update("run: warm-up", 0.0);
  (void)replica.run(warm_up, options);
  const AdmissionLimits& limits = session.scenario.plan.admission;
  if (limits.any()) options.admission.emplace(limits, workload.serving.tenants);

  std::vector<exec::EngineRun> runs;
  std::optional<exec::DeviceWatch> watch;
  std::vector<std::vector<exec::DeviceSummary>> uses;
  if (devices != nullptr) watch.emplace(*devices);
  exec::LiveCounters counters;
  options.live = &counters;
  SampleLog log;
  exec::LiveSampler sampler({&counters, devices, config.cores, exec::processes_of_run(how.mpi)},
                            [&](const RunSample& sample) {
                              log.add(sample);
                              progress.sample(sample);
                            });
  for (int i = 0; i < repeats; ++i) {
    const std::string phase = fmt::format("run {} of {}", i + 1, repeats);
    options.progress = [&](std::size_t finished, std::size_t total) {
      progress.update(phase, static_cast<double>(finished) / static_cast<double>(total));
    };
    if (watch) watch->start();
    sampler.start(phase);
    runs.push_back(replica.run(requests, options));
    sampler.stop();
    if (watch) uses.push_back(watch->stop());
  }
  RunRecord record = exec::measured_record(runs, config, ceilings, session.scenario);
  session.stamp(record, &ceilings);
  if (const std::string way = replica.sums_by(); !way.empty()) record.environment.libraries["all-reduce"] = way;
  if (devices != nullptr) {
    exec::record_devices(record, *devices, runs, uses);
    progress.finish_phase("devices  " + exec::describe(uses.back()));
  }
  record.seed = workload.seed;
  progress.finish_phase(fmt::format("run      {} requests, {} repeats, {} ranks, output hash {}", requests.size(), repeats,
                                    config.group.ranks_per_replica(), record.output_hash.substr(0, 12)));
  if (const std::string experts = exec::describe_expert_use(runs.back(), config); !experts.empty()) {
    progress.finish_phase("experts  " + experts);
  }
  warn_above_ceilings(record, progress);
  RunTimeline timeline = exec::measured_timeline(runs, config.group.stages.size());
  timeline.scenario_name = record.scenario_name;
  timeline.scenario_digest = record.scenario_digest;
  timeline.plan_name = record.plan_name;
  timeline.plan_digest = record.plan_digest;
  timeline.profile_digest = record.environment.profile_digest;
  timeline.seed = record.seed;
  return {std::move(record), log.samples(), std::move(timeline)};
}

}  // namespace lindos::cli
