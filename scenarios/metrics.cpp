// SPDX-License-Identifier: Apache-2.0
#include "scenarios/metrics.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include "scenarios/error.h"
#include "scenarios/quantity_text.h"

namespace lindos {
namespace {

constexpr double kPerGiB = 1.0 / 1073741824.0;

// Puts a comma before each group of three digits of the whole part.
std::string grouped(const std::string& number) {
  const std::size_t begin = number.front() == '-' ? 1 : 0;
  const std::size_t end = std::min(number.find('.'), number.size());
  std::string out = number.substr(0, begin);
  for (std::size_t i = begin; i < end; ++i) {
    if (i > begin && (end - i) % 3 == 0) out += ',';
    out += number[i];
  }
  return out + number.substr(end);
}

std::string_view name_of(Better better) {
  switch (better) {
    case Better::kLower:
      return "lower";
    case Better::kHigher:
      return "higher";
    case Better::kNeither:
      return "neither";
  }
  return "";
}

}  // namespace

const std::vector<Metric>& metric_registry() {
  static const std::vector<Metric> kRegistry = {
      {"mfu", "mfu/1", "Model FLOP utilisation", "1", "%", 100.0, 3,
       "Σ useful FLOP / (Σ devices peak × time); useful: matrix FLOP of ops/1, causal attention "
       "half, no "
       "recompute; peak: dense, of the dtype used",
       "Share of the devices' peak that went into work the model needs.", Better::kHigher,
       Worst::kMin, false},
      {"steady_mfu", "steady_mfu/1", "Model FLOP utilisation of a running step", "1", "%", 100.0, 3,
       "training: useful FLOP of a step / (Σ peaks of the job's devices × step time); useful and peak "
       "as in mfu",
       "MFU while the job runs, as training reports state it: without failures, checkpoints and "
       "devices that the plan does not use.",
       Better::kHigher, Worst::kMin, false},
      {"mbu", "mbu/1", "Memory bandwidth utilisation", "1", "%", 100.0, 3,
       "Σ bytes of weights and KV read / (Σ devices memory bandwidth × time); activations not "
       "counted",
       "Share of the memory bandwidth that went into reading weights and cache.", Better::kHigher,
       Worst::kMin, false},
      {"roofline_utilisation", "roofline_utilisation/1", "Roofline utilisation", "1", "%", 100.0, 3,
       "Σ over ops max(FLOP / peak, bytes / bandwidth) / busy time",
       "How close the operators that ran came to the limit of the device, whichever limit binds.",
       Better::kHigher, Worst::kMin, false},
      {"output_tokens_per_s", "output_tokens_per_s/1", "Output tokens per second", "token/s",
       "token/s", 1.0, 4, "Σ output tokens / (last token of all − first arrival)",
       "Generated tokens per second over the whole run.", Better::kHigher, Worst::kMin, false},
      {"trained_tokens_per_s", "trained_tokens_per_s/1", "Trained tokens per second", "token/s",
       "Mtoken/s", 1e-6, 4,
       "tokens of a step / step time × share of wall time that is kept (goodput)",
       "Training progress over the whole run, failures included.", Better::kHigher, Worst::kMin,
       false},
      {"requests_per_s", "requests_per_s/1", "Requests per second", "1/s", "request/s", 1.0, 4,
       "answered requests / (last token of all − first arrival)", "Finished requests per second.",
       Better::kHigher, Worst::kMin, false},
      {"ttft_s", "ttft_s/1", "Time to first token", "s", "ms", 1e3, 3,
       "median over requests of (first token − arrival)",
       "How long a user waits until the answer begins.", Better::kLower, Worst::kMax, true},
      {"tpot_s", "tpot_s/1", "Time per output token", "s", "ms", 1e3, 3,
       "median over requests with at least 2 tokens of (last token − first token) / (tokens − 1)",
       "The pace at which an answer goes on once it has begun.", Better::kLower, Worst::kMax, true},
      {"e2e_latency_s", "e2e_latency_s/1", "End-to-end latency", "s", "s", 1.0, 4,
       "median over requests of (last token − arrival)",
       "How long a user waits for the whole answer.", Better::kLower, Worst::kMax, true},
      {"kv_transfer_s", "kv_transfer_s/1", "Transfer of a prompt's KV", "s", "ms", 1e3, 3,
       "median over requests whose prompt another replica computed of (KV there − first token)",
       "How long a prompt's KV is on its way, queues for the link included, where prefill and decode are apart.",
       Better::kLower, Worst::kMax, true},
      {"step_time_s", "step_time_s/1", "Step time", "s", "ms", 1e3, 4,
       "training: median time of an optimizer step; serving: median time of an engine step",
       "How long one step takes.", Better::kLower, Worst::kMax, true},
      {"goodput", "goodput/1", "Goodput", "1", "%", 100.0, 4,
       "serving: requests that kept both promises / requests, those turned away among them; training: kept useful time "
       "/ time",
       "Share of the work that counted.", Better::kHigher, Worst::kMin, false},
      {"rejected_share", "rejected_share/1", "Requests turned away", "1", "%", 100.0, 3,
       "serving with admission limits: requests that were turned away / requests",
       "Share of the requests that the plan's limits did not let in.", Better::kLower, Worst::kMax, false},
      {"goodput_sampling_error", "goodput_sampling_error/1", "Sampling error of goodput", "1", "%", 100.0, 2,
       "serving: half of the 95 % interval of goodput over the replicas that were not simulated",
       "How far goodput may be off because a sample of the fleet's replicas was simulated.", Better::kLower,
       Worst::kMax, false},
      {"simulated_replicas", "simulated_replicas/1", "Simulated replicas", "1", "replicas", 1.0, 3,
       "serving: replicas of the plan whose requests were simulated one by one",
       "How many replicas stand for the fleet.", Better::kNeither, Worst::kMin, false},
      {"interruption_interval_s", "interruption_interval_s/1", "Time between interruptions", "s",
       "min", 1.0 / 60.0, 3, "1 / Σ over fault classes of rate × units that the job uses",
       "How often a failure stops the job, in the mean.", Better::kHigher, Worst::kMin, false},
      {"checkpoint_interval_s", "checkpoint_interval_s/1", "Time between checkpoints", "s", "min",
       1.0 / 60.0, 3,
       "whole steps between two saves: the scenario's interval, or the one that keeps most work",
       "How much training lies between two saves.", Better::kNeither, Worst::kMax, false},
      {"young_interval_s", "young_interval_s/1", "Time between checkpoints after Young", "s", "min",
       1.0 / 60.0, 3,
       "sqrt(2 δ M); δ: how long a save stops the job, M: time between interruptions",
       "The classic first-order optimum, to be held against the interval used; it does not know that an "
       "asynchronous save must end before the next begins.",
       Better::kNeither, Worst::kMax, false},
      {"daly_interval_s", "daly_interval_s/1", "Time between checkpoints after Daly", "s", "min",
       1.0 / 60.0, 3,
       "sqrt(2 δ M) (1 + sqrt(δ/2M)/3 + δ/2M/9) − δ, from δ = 2M on M; δ and M as in young_interval_s",
       "The classic higher-order optimum, to be held against the interval used; as Young's, for saves "
       "that stop the job until they are written.",
       Better::kNeither, Worst::kMax, false},
      {"memory_peak_bytes", "memory_peak_bytes/1", "Peak memory", "B", "GiB", kPerGiB, 3,
       "max over ranks of weights + activations + communication + KV",
       "Memory that the fullest rank needs.", Better::kLower, Worst::kMax, false},
      {"kv_blocks", "kv_blocks/1", "KV blocks", "1", "blocks", 1.0, 3,
       "min over ranks ⌊(memory × fraction − weights − activations − communication) / block bytes⌋",
       "Cache blocks that fit beside the weights.", Better::kHigher, Worst::kMin, false},
      {"prefix_hit_rate", "prefix_hit_rate/1", "Prefix hit rate", "1", "%", 100.0, 3,
       "serving with prefix_reuse: Σ prompt tokens whose KV was cached when the request started / Σ prompt tokens; a "
       "request that starts again after a preemption counts once",
       "Share of the prompts that was not computed because an earlier one began alike.", Better::kHigher, Worst::kMin,
       false},
      {"host_hit_rate", "host_hit_rate/1", "Hits in host memory", "1", "%", 100.0, 3,
       "serving with kv_offload: Σ prompt tokens whose KV was in host memory when the request started / Σ prompt tokens; part "
       "of prefix_hit_rate",
       "Share of the prompts that was copied from host memory instead of being computed.", Better::kNeither, Worst::kMin,
       false},
      {"power_w", "power_w/1", "Power", "W", "W", 1.0, 4, "energy / time, all devices of the run",
       "Mean electrical power.", Better::kLower, Worst::kMax, false},
      {"site_power_w", "site_power_w/1", "Site power", "W", "kW", 1e-3, 4,
       "(idle power of all nodes + power that the devices of the plan add + their busy hosts) × PUE, mean over the run",
       "What the whole site draws at the meter, nodes without work included.", Better::kLower, Worst::kMax, false},
      {"site_power_peak_w", "site_power_peak_w/1", "Peak site power", "W", "kW", 1e-3, 4,
       "most of site_power_w over slices of the run, at least 480 of them",
       "What the site draws at the meter in the slice that draws most. Never above the site's cap.", Better::kLower,
       Worst::kMax, false},
      {"energy_per_token_j", "energy_per_token_j/1", "Energy per token", "J", "J", 1.0, 3,
       "energy / output tokens (training: / trained tokens)", "Electrical energy behind one token.",
       Better::kLower, Worst::kMax, true},
      {"dollars_per_million_tokens", "dollars_per_million_tokens/1", "Dollars per million tokens", "$/Mtoken", "$/Mtoken", 1.0, 3,
       "serving, where prices are known: (Σ devices of the plan × device_price + site_power_w × energy_price) / "
       "output_tokens_per_s × 10⁶; of what `lindos plan` answers at the power that its devices may draw, so at most",
       "What devices and energy cost for a million output tokens.", Better::kLower, Worst::kMax, true},
  };
  return kRegistry;
}

const Metric* find_metric(std::string_view name) {
  for (const Metric& metric : metric_registry()) {
    if (metric.name == name) return &metric;
  }
  return nullptr;
}

const Metric& metric_or_throw(std::string_view name) {
  if (const Metric* metric = find_metric(name)) return *metric;
  std::vector<std::string> names;
  for (const Metric& metric : metric_registry()) names.emplace_back(metric.name);
  const auto nearest = nearest_spelling(name, names.data(), names.size());
  throw Error(ErrorKind::kInput, "",
              "unknown metric \"" + std::string(name) + "\"" +
                  (nearest ? " (did you mean \"" + *nearest + "\"?)" : ""));
}

std::string format_value(const Metric& metric, double value) {
  const double shown = value * metric.display_scale;
  int decimals = 0;
  if (std::isfinite(shown) && shown != 0.0) {
    // The exponent after rounding to `digits`: 9.996 with three digits is 10.0.
    std::ostringstream scientific;
    scientific.imbue(std::locale::classic());
    scientific.precision(metric.digits - 1);
    scientific << std::scientific << shown;
    const std::string text = scientific.str();
    const int exponent = std::atoi(text.c_str() + text.find('e') + 1);
    decimals = std::max(0, metric.digits - 1 - exponent);
  }
  std::ostringstream out;
  out.imbue(std::locale::classic());
  out.precision(decimals);
  out << std::fixed << shown;
  return grouped(out.str()) + " " + std::string(metric.display);
}

std::string metrics_markdown() {
  std::ostringstream out;
  out << "# Metrics\n\n"
         "Written from the registry (`scenarios/metrics.cpp`); `metrics_test` tells how to renew "
         "it.\n"
         "Values in JSON and SQL are in the SI unit; people see the display unit. Each stored "
         "value carries\n"
         "its definition; values of different definitions are never compared.\n";
  for (const Metric& metric : metric_registry()) {
    out << "\n## `" << metric.name << "`: " << metric.label << "\n\n"
        << metric.sentence << "\n\n"
        << "- definition: `" << metric.definition << "`\n"
        << "- formula: " << metric.formula << "\n"
        << "- unit: " << metric.unit << ", shown in " << metric.display << "\n"
        << "- better: " << name_of(metric.better) << "\n";
  }
  return out.str();
}

}  // namespace lindos
