// SPDX-License-Identifier: Apache-2.0
#include "sim/training/predict_training.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "scenarios/error.h"
#include "scenarios/metrics.h"
#include "scenarios/timeline.h"
#include "sim/normal_distribution.h"
#include "sim/training/training_device_map.h"
#include "sim/training/training_run.h"
#include "sim/training/training_timeline.h"

namespace lindos::sim {

namespace {

// "150,000 × NVIDIA H100 SXM5 80 GB + …": the devices that the job runs on.
std::string hardware_of(const Scenario& scenario, const TrainingJob& job) {
  std::map<std::string, std::int64_t> devices;
  for (const Pool& pool : scenario.cluster.pools) {
    for (const GroupJob& group : job.groups) {
      if (const std::int64_t used = group.devices_in(pool.name); used > 0)
        devices[scenario.devices.at(pool.node.device).label] += used;
    }
  }
  std::string out;
  for (const auto& [label, count] : devices)
    out += (out.empty() ? "" : " + ") + std::to_string(count) + " × " + label;
  return out;
}

MetricValue quantiles(const char* name, const std::vector<double>& values) {
  return {quantile(values, 0.1), quantile(values, 0.5), quantile(values, 0.9),
          std::string(metric_or_throw(name).unit), "modelled"};
}

DrawOptions draw_options(const PredictOptions& options) {
  DrawOptions out;
  out.fidelity = options.fidelity;
  out.draws = std::max(1, options.draws);
  out.seed = options.seed;
  out.progress = options.progress;
  out.cancelled = options.cancelled;
  return out;
}

}  // namespace

RunRecord training_record(const Scenario& scenario, const TrainingRun& run, const TrainingDraws& drawn,
                          const DrawOptions& options) {
  std::vector<double> mfu;
  std::vector<double> steady;
  std::vector<double> step;
  std::vector<double> tokens;
  std::vector<double> goodput;
  std::vector<Ledger> ledgers;
  for (const TrainingDraw& draw : drawn.draws) {
    mfu.push_back(draw.whole.share(Cause::kUseful));
    steady.push_back(draw.steady.share(Cause::kUseful));
    step.push_back(draw.step.count());
    tokens.push_back(run.job.tokens_per_step / draw.step.count() * draw.productive);
    goodput.push_back(draw.productive);
    ledgers.push_back(draw.whole);
  }
  RunRecord record;
  record.source = RunSource::kPredicted;
  record.fidelity = name_of(options.fidelity);
  record.scenario_name = scenario.name;
  record.scenario_digest = digest(scenario);
  record.plan_digest = digest(scenario.plan);
  record.plan_name = scenario.plan.name;
  record.seed = options.seed;
  record.repeats = options.draws;
  record.metrics["mfu"] = quantiles("mfu", mfu);
  record.metrics["steady_mfu"] = quantiles("steady_mfu", steady);
  record.metrics["step_time_s"] = quantiles("step_time_s", step);
  record.metrics["trained_tokens_per_s"] = quantiles("trained_tokens_per_s", tokens);
  record.metrics["goodput"] = quantiles("goodput", goodput);
  const auto exact = [&](const char* name, double value) { record.metrics[name] = quantiles(name, {value}); };
  if (std::isfinite(drawn.effective.mtbi.count())) {
    // The rates are known up to one log-normal factor, and so is their inverse.
    const double mtbi = drawn.effective.mtbi.count();
    const double spread = std::exp(run.reliability.rate_sigma * normal_tail_quantile(0.1));
    record.metrics["interruption_interval_s"] = {
        mtbi / spread, mtbi, mtbi * spread,
        std::string(metric_or_throw("interruption_interval_s").unit), "modelled"};
    exact("checkpoint_interval_s", drawn.effective.interval.count());
    exact("young_interval_s", drawn.effective.young.count());
    exact("daly_interval_s", drawn.effective.daly.count());
  }
  exact("memory_peak_bytes", run.fullest.value());
  record.ledger = ledger_entries(ledgers);
  record.environment.hardware = hardware_of(scenario, run.job);
  return record;
}

RunRecord predict_training(const Scenario& scenario,
                           const std::map<std::string, Profile>& profiles_by_device,
                           const PredictOptions& options) {
  const DrawOptions draws = draw_options(options);
  const TrainingRun run = make_training_run(scenario, profiles_by_device);
  const TrainingDraws drawn = draw_training(run, scenario, draws);
  if (options.devices) options.devices(training_device_map(scenario, run, drawn, draws));
  if (options.timeline) options.timeline(training_timeline(scenario, run, drawn, draws));
  return training_record(scenario, run, drawn, draws);
}

Explanation explain_training(const Scenario& scenario,
                             const std::map<std::string, Profile>& profiles_by_device,
                             const PredictOptions& options) {
  if (scenario.workload.kind != WorkloadKind::kTraining) {
    throw Error(ErrorKind::kInput, scenario.name,
                "what would recover the peak is answered for training; this workload is serving");
  }
  DrawOptions draws = draw_options(options);
  // Sharing of links is simulated once for a plan, not again for every change.
  if (draws.fidelity == Fidelity::kSimgrid) draws.fidelity = Fidelity::kMaxplus;
  const TrainingRun run = make_training_run(scenario, profiles_by_device);
  const auto part = [&](double begin, double end) {
    draws.progress = [&options, begin, end](double done) {
      if (options.progress) options.progress(begin + (end - begin) * done);
    };
  };
  part(0.0, 0.1);
  const TrainingDraws base = draw_training(run, scenario, draws);
  Explanation out;
  out.record = training_record(scenario, run, base, draws);
  if (options.devices) options.devices(training_device_map(scenario, run, base, draws));
  if (options.timeline) options.timeline(training_timeline(scenario, run, base, draws));
  draws.progress = {};
  out.restored = restore_causes(run, scenario, base, draws);
  if (options.progress) options.progress(0.5);
  out.mitigations = price_mitigations(scenario, profiles_by_device, base, draws);
  if (options.progress) options.progress(1.0);
  return out;
}

}  // namespace lindos::sim
