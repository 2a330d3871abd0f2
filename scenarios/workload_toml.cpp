// SPDX-License-Identifier: Apache-2.0
// Workload and SLO ↔ TOML.
#include <algorithm>
#include <filesystem>
#include <string>

#include "scenarios/lengths_toml.h"
#include "scenarios/request_trace.h"
#include "scenarios/scenario_toml.h"
#include "scenarios/servegen.h"
#include "scenarios/tenants_toml.h"

namespace lindos {
namespace {

void read_duration(const TomlTable& table, ServingWorkload& serving, const std::string& arrival) {
  if (table.has("requests")) table.fail("duration", "give either requests or the duration of the arrivals");
  if (!has_rate(serving.arrival)) table.fail("duration", arrival + " has no rate to fill it; give requests");
  serving.duration = table.quantity<Seconds>("duration");
  const double expected = serving.rate.value() * serving.duration.count();
  if (!(expected >= 1.0) || expected > static_cast<double>(kMaxTokens)) {
    table.fail("duration", "expected one to " + std::to_string(kMaxTokens) + " requests, at this rate " +
                               std::to_string(expected) + " arrive");
  }
}

ArrivalShape read_shape(const TomlTable& table, const ServingWorkload& serving, const std::string& arrival) {
  ArrivalShape shape;
  const auto only_with = [&](Arrival kind, std::initializer_list<std::string_view> keys) {
    for (const std::string_view key : keys) {
      if (serving.arrival != kind && table.has(key)) {
        table.fail(key, arrival + " does not use it; remove the key or say arrival = \"" + std::string(name_of(kind)) +
                            '"');
      }
    }
    return serving.arrival == kind;
  };
  constexpr double kMostVariation = 10.0;
  if (only_with(Arrival::kGamma, {"variation"}))
    shape.variation = table.number("variation", 0.05, kMostVariation);
  if (only_with(Arrival::kBursty, {"burst_rate", "burst_share", "burst_length"})) {
    shape.burst_rate = table.quantity<Hertz>("burst_rate");
    if (shape.burst_rate < serving.rate) table.fail("burst_rate", "must be at least the mean rate");
    shape.burst_share = table.number("burst_share", 1e-4, 0.9999);
    if (shape.burst_rate.value() * shape.burst_share > serving.rate.value() * (1.0 + 1e-9)) {
      table.fail("burst_share", "bursts alone would exceed the mean rate: burst_rate × burst_share is " +
                                    std::to_string(shape.burst_rate.value() * shape.burst_share) + " /s");
    }
    shape.burst_length = table.quantity<Seconds>("burst_length");
    if (shape.burst_length <= Seconds{0}) table.fail("burst_length", "must be above zero");
  }
  if (only_with(Arrival::kDiurnal, {"swing", "period", "peak_at"})) {
    shape.swing = table.number("swing", 0.0, 1.0);
    shape.period = table.quantity_or("period", Seconds{86400});
    if (shape.period <= Seconds{0}) table.fail("period", "must be above zero");
    shape.peak_at = table.quantity_or("peak_at", Seconds{0});
  }
  return shape;
}

ServingWorkload read_trace(const TomlTable& table, const std::filesystem::path& base, std::int64_t max_tokens) {
  table.allow({"kind", "trace", "format", "speed", "requests", "duration", "digest", "seed", "tenant"});
  ServingWorkload serving;
  serving.arrival = Arrival::kRecorded;
  TraceSource& trace = serving.trace;
  trace.path = path_of(table, "trace", base).string();
  trace.format = static_cast<TraceFormat>(
      table.choice("format", {"azure", "burstgpt", "mooncake", "csv", "jsonl", "servegen"}));
  constexpr double kMostSpeed = 1e6;
  trace.speed = table.number_or("speed", 1.0, 1e-6, kMostSpeed);
  read_tenants(table, base, serving);
  const bool clients = trace.format == TraceFormat::kServegen;
  const TraceSummary summary =
      clients ? scan_clients(trace.path, max_tokens, recorded_names(serving.tenants))
              : scan_trace(trace.path, trace.format, max_tokens, recorded_names(serving.tenants));
  trace.rows = summary.rows;
  trace.longest = summary.longest;
  trace.digest = summary.digest;
  if (table.has("digest") && table.text("digest") != trace.digest) {
    table.fail("digest", "the trace has changed: its digest is " + trace.digest);
  }
  serving.prompt = {summary.shortest_prompt, summary.longest_prompt, 0.0, 0.0, {}};
  serving.output = {summary.shortest_output, summary.longest_output, 0.0, 0.0, {}};
  if (summary.span_ns > 0) {
    const double gap_ns = static_cast<double>(summary.span_ns) / static_cast<double>(summary.rows - 1);
    serving.rate = Hertz{1e9 / gap_ns * trace.speed};
  }
  if (table.has("requests")) {
    if (table.has("duration")) table.fail("duration", "give either requests or the duration of the arrivals");
    serving.requests = table.integer("requests", 1, summary.rows);
  }
  serving.duration = table.quantity_or("duration", Seconds{0});
  if (table.has("duration") && serving.duration <= Seconds{0}) table.fail("duration", "must be above zero");
  return serving;
}

ServingWorkload read_serving(const TomlTable& table, const std::filesystem::path& base, std::int64_t max_tokens) {
  if (table.has("trace")) return read_trace(table, base, max_tokens);
  table.allow({"kind", "requests", "arrival", "rate", "concurrency", "duration", "prompt", "output", "seed"},
              {"shared_prefix", "prefix_groups", "variation", "burst_rate", "burst_share", "burst_length", "swing", "period", "peak_at",
               "tenant"});
  ServingWorkload serving;
  constexpr Arrival kArrivals[] = {Arrival::kTogether, Arrival::kPoisson, Arrival::kUniform, Arrival::kClosedLoop,
                                   Arrival::kGamma,    Arrival::kBursty,  Arrival::kDiurnal};
  serving.arrival = kArrivals[table.choice(
      "arrival", {"together", "poisson", "uniform", "closed-loop", "gamma", "bursty", "diurnal"})];
  const std::string arrival = "arrival = \"" + std::string(name_of(serving.arrival)) + '"';
  if (has_rate(serving.arrival)) {
    serving.rate = table.quantity<Hertz>("rate");
    if (serving.rate == Hertz{0}) table.fail("rate", "must be above zero");
  } else if (table.has("rate")) {
    table.fail("rate", arrival + " has no rate; remove the key");
  }
  serving.shape = read_shape(table, serving, arrival);
  if (table.has("duration")) {
    read_duration(table, serving, arrival);
  } else {
    serving.requests = table.integer("requests", 1, kMaxTokens);
  }
  if (serving.arrival == Arrival::kClosedLoop) {
    serving.concurrency = table.integer("concurrency", 1, kMaxTokens);
    if (serving.concurrency > serving.requests) {
      table.fail("concurrency", std::to_string(serving.concurrency) + " clients for " +
                                    std::to_string(serving.requests) +
                                    " requests: each client sends at least one");
    }
  } else if (table.has("concurrency")) {
    table.fail("concurrency", arrival + " has no clients; remove the key or say arrival = \"closed-loop\"");
  }
  serving.prompt = read_length(table, "prompt", base);
  serving.output = read_length(table, "output", base);
  read_shared_prefix(table, serving.prompt.low, serving.shared_prefix, serving.prefix_groups);
  read_tenants(table, base, serving);
  return serving;
}

TrainingWorkload read_training(const TomlTable& table) {
  table.allow({"kind", "sequence", "global_batch", "micro_batch", "recompute", "dropout",
               "frozen_weights", "seed", "checkpoint"});
  TrainingWorkload training;
  training.sequence = table.integer("sequence", 1, kMaxTokens);
  training.global_batch = table.integer("global_batch", 1, kMaxTokens);
  // Beyond what any device holds; keeps a slip of the finger from building a list of millions of sequences.
  constexpr std::int64_t kMostSequences = 65'536;
  training.micro_batch =
      table.integer_or("micro_batch", 1, 1, std::min(training.global_batch, kMostSequences));
  if (training.global_batch % training.micro_batch != 0) {
    const std::int64_t below = training.global_batch / training.micro_batch * training.micro_batch;
    table.fail("global_batch", std::to_string(training.global_batch) +
                                   " sequences are not a whole number of micro-batches of " +
                                   std::to_string(training.micro_batch) + "; " +
                                   std::to_string(below) + " or " +
                                   std::to_string(below + training.micro_batch) + " are");
  }
  if (table.has("recompute")) {
    constexpr Recompute kChoices[] = {Recompute::kNone, Recompute::kSelective, Recompute::kFull};
    training.recompute = kChoices[table.choice("recompute", {"none", "selective", "full"})];
  }
  training.dropout = table.boolean_or("dropout", false);
  if (table.has("checkpoint")) training.checkpoint = read_checkpoint(table.table("checkpoint"));
  training.frozen_weights = table.boolean_or("frozen_weights", false);
  return training;
}

void write_serving(TomlText& out, const ServingWorkload& s) {
  out.text("kind", "serving");
  if (s.requests > 0) out.integer("requests", s.requests);
  if (s.duration > Seconds{0}) out.quantity("duration", s.duration);
  if (s.arrival == Arrival::kRecorded) {
    out.text("trace", s.trace.path);
    out.text("format", name_of(s.trace.format));
    out.number("speed", s.trace.speed);
    out.text("digest", s.trace.digest);
    return;
  }
  out.text("arrival", name_of(s.arrival));
  if (has_rate(s.arrival)) out.quantity("rate", s.rate);
  if (s.arrival == Arrival::kClosedLoop) out.integer("concurrency", s.concurrency);
  if (s.arrival == Arrival::kGamma) out.number("variation", s.shape.variation);
  if (s.arrival == Arrival::kBursty) {
    out.quantity("burst_rate", s.shape.burst_rate);
    out.number("burst_share", s.shape.burst_share);
    out.quantity("burst_length", s.shape.burst_length);
  }
  if (s.arrival == Arrival::kDiurnal) {
    out.number("swing", s.shape.swing);
    out.quantity("period", s.shape.period);
    out.quantity("peak_at", s.shape.peak_at);
  }
  write_length(out, "prompt", s.prompt);
  write_length(out, "output", s.output);
  // Only where there is one: scenarios from before the keys keep their digest.
  if (s.shared_prefix > 0) {
    out.integer("shared_prefix", s.shared_prefix);
    out.integer("prefix_groups", s.prefix_groups);
  }
}

}  // namespace

Workload read_workload(const TomlTable& table, const std::filesystem::path& base, const Model& model) {
  Workload workload;
  if (table.choice("kind", {"serving", "training"}) == 0) {
    workload.serving = read_serving(table, base, model.max_positions);
  } else {
    workload.kind = WorkloadKind::kTraining;
    workload.training = read_training(table);
  }
  // TOML integers are signed.
  workload.seed = static_cast<std::uint64_t>(table.integer_or("seed", 1, 0, INT64_MAX));
  return workload;
}

void check_context(const TomlTable& table, const Workload& workload, const Model& model) {
  if (model.max_positions == 0) return;
  const std::string context = " tokens exceed the context of " +
                              std::to_string(model.max_positions) + " of model \"" + model.name +
                              '"';
  if (workload.kind == WorkloadKind::kTraining) {
    if (workload.training.sequence > model.max_positions) {
      table.fail("sequence", std::to_string(workload.training.sequence) + context);
    }
    return;
  }
  // A trace's rows were held against it one by one.
  if (workload.serving.arrival == Arrival::kRecorded) return;
  const std::int64_t longest = longest_request(workload.serving);
  if (longest > model.max_positions) {
    table.fail("prompt", "prompt + output of up to " + std::to_string(longest) + context);
  }
}

Slo read_slo(const TomlTable& table) {
  table.allow({"ttft", "tpot", "percentile"});
  Slo slo;
  slo.ttft = table.quantity_or("ttft", Seconds{0});
  slo.tpot = table.quantity_or("tpot", Seconds{0});
  slo.percentile = table.number_or("percentile", slo.percentile, 0.01, 1.0);
  return slo;
}

void write_workload(TomlText& out, const Workload& workload, const Slo& slo) {
  out.header("workload");
  if (workload.kind == WorkloadKind::kServing) {
    write_serving(out, workload.serving);
  } else {
    const TrainingWorkload& t = workload.training;
    out.text("kind", "training");
    out.integer("sequence", t.sequence);
    out.integer("global_batch", t.global_batch);
    out.integer("micro_batch", t.micro_batch);
    out.text("recompute", name_of(t.recompute));
    if (t.dropout) out.boolean("dropout", true);
    if (t.frozen_weights) out.boolean("frozen_weights", true);
  }
  out.integer("seed", static_cast<std::int64_t>(workload.seed));
  write_checkpoint(out, workload.training.checkpoint);
  write_tenants(out, workload.serving);
  if (slo == Slo{}) return;
  out.header("slo");
  out.quantity("ttft", slo.ttft);
  out.quantity("tpot", slo.tpot);
  out.number("percentile", slo.percentile);
}

}  // namespace lindos
