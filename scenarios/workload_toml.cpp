// SPDX-License-Identifier: Apache-2.0
// Workload and SLO ↔ TOML.
#include <algorithm>
#include <string>

#include "scenarios/scenario_toml.h"

namespace lindos {
namespace {

// `key = 128` (constant) or `key = [64, 128]` (uniform).
LengthRange read_length(const TomlTable& table, std::string_view key) {
  if (!table.is_array(key)) {
    const std::int64_t tokens = table.integer(key, 1, kMaxTokens);
    return {tokens, tokens};
  }
  const auto bounds = table.integers(key, 1, kMaxTokens);
  if (bounds.size() != 2 || bounds[0] > bounds[1]) {
    table.fail(key, "expected a length such as 128 or a range [low, high] such as [64, 128]");
  }
  return {bounds[0], bounds[1]};
}

std::string_view name_of(Arrival arrival) {
  switch (arrival) {
    case Arrival::kTogether:
      return "together";
    case Arrival::kPoisson:
      return "poisson";
    case Arrival::kUniform:
      return "uniform";
    case Arrival::kClosedLoop:
      return "closed-loop";
  }
  return "";
}

bool has_rate(Arrival arrival) { return arrival == Arrival::kPoisson || arrival == Arrival::kUniform; }

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

ServingWorkload read_serving(const TomlTable& table) {
  table.allow({"kind", "requests", "arrival", "rate", "concurrency", "duration", "prompt", "output", "seed"});
  ServingWorkload serving;
  constexpr Arrival kArrivals[] = {Arrival::kTogether, Arrival::kPoisson, Arrival::kUniform, Arrival::kClosedLoop};
  serving.arrival = kArrivals[table.choice("arrival", {"together", "poisson", "uniform", "closed-loop"})];
  const std::string arrival = "arrival = \"" + std::string(name_of(serving.arrival)) + '"';
  if (has_rate(serving.arrival)) {
    serving.rate = table.quantity<Hertz>("rate");
    if (serving.rate == Hertz{0}) table.fail("rate", "must be above zero");
  } else if (table.has("rate")) {
    table.fail("rate", arrival + " has no rate; remove the key");
  }
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
  serving.prompt = read_length(table, "prompt");
  serving.output = read_length(table, "output");
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

void write_length(TomlText& out, std::string_view key, LengthRange range) {
  if (range.low == range.high) {
    out.integer(key, range.low);
  } else {
    out.integers(key, std::vector<std::int64_t>{range.low, range.high});
  }
}

}  // namespace

Workload read_workload(const TomlTable& table) {
  Workload workload;
  if (table.choice("kind", {"serving", "training"}) == 0) {
    workload.serving = read_serving(table);
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
  const std::int64_t longest = workload.serving.prompt.high + workload.serving.output.high;
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
    const ServingWorkload& s = workload.serving;
    out.text("kind", "serving");
    if (s.requests > 0) out.integer("requests", s.requests);
    if (s.duration > Seconds{0}) out.quantity("duration", s.duration);
    out.text("arrival", name_of(s.arrival));
    if (has_rate(s.arrival)) out.quantity("rate", s.rate);
    if (s.arrival == Arrival::kClosedLoop) out.integer("concurrency", s.concurrency);
    write_length(out, "prompt", s.prompt);
    write_length(out, "output", s.output);
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
  if (slo == Slo{}) return;
  out.header("slo");
  out.quantity("ttft", slo.ttft);
  out.quantity("tpot", slo.tpot);
  out.number("percentile", slo.percentile);
}

}  // namespace lindos
