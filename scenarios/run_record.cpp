// SPDX-License-Identifier: Apache-2.0
#include "scenarios/run_record.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include <nlohmann/json.hpp>

#include "scenarios/error.h"
#include "scenarios/json_reader.h"
#include "scenarios/metrics.h"

namespace lindos {
namespace {

using Json = nlohmann::ordered_json;

const std::vector<std::string> kFidelities = {"closed", "maxplus", "simgrid", "engine"};
const std::vector<std::string> kProvenances = {"measured", "modelled", "extrapolated"};

bool contains(const std::vector<std::string>& list, const std::string& word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : ", ") + word;
  return out;
}

[[noreturn]] void complain(const std::string& where, const std::string& pointer,
                           const std::string& message) {
  throw Error(ErrorKind::kInput, where.empty() ? pointer : where + ": " + pointer, message);
}

void validate_metric(const std::string& name, const MetricValue& value, const std::string& parent,
                     const std::string& where) {
  const std::string pointer = parent + "/" + name;
  const Metric* metric = find_metric(name);
  if (metric == nullptr) {
    std::vector<std::string> names;
    for (const Metric& known : metric_registry()) names.emplace_back(known.name);
    complain(where, pointer, "unknown metric" + did_you_mean(name, names));
  }
  if (value.unit != metric->unit) {
    complain(where, pointer + "/unit",
             "expected \"" + std::string(metric->unit) + "\", saw \"" + value.unit + "\"");
  }
  const bool finite =
      std::isfinite(value.p10) && std::isfinite(value.p50) && std::isfinite(value.p90);
  if (!finite || value.p10 > value.p50 || value.p50 > value.p90) {
    complain(where, pointer,
             "expected finite p10 <= p50 <= p90, saw " + std::to_string(value.p10) + ", " +
                 std::to_string(value.p50) + ", " + std::to_string(value.p90));
  }
  if (!contains(kProvenances, value.provenance)) {
    complain(where, pointer + "/provenance",
             "expected one of " + joined(kProvenances) + ", saw \"" + value.provenance + "\"");
  }
}

void validate_ledger(const std::vector<LedgerEntry>& ledger, const std::string& where) {
  if (ledger.empty()) return;
  constexpr double kTolerance = 1e-9;
  std::set<Cause> seen;
  double sum = 0.0;
  for (std::size_t i = 0; i < ledger.size(); ++i) {
    const LedgerEntry& entry = ledger[i];
    const std::string pointer = "/ledger/" + std::to_string(i);
    if (!seen.insert(entry.cause).second) {
      complain(where, pointer + "/cause",
               "\"" + std::string(name_of(entry.cause)) + "\" stands twice");
    }
    const auto is_share = [](double share) { return share >= 0.0 && share <= 1.0 + kTolerance; };
    if (!is_share(entry.share) || !is_share(entry.p10) || !is_share(entry.p90) ||
        entry.p10 > entry.p90) {
      complain(where, pointer, "expected shares in [0, 1] with p10 <= p90");
    }
    sum += entry.share;
  }
  if (std::abs(sum - 1.0) > kTolerance) {
    complain(where, "/ledger",
             "the shares sum to 1 within 1e-9 when every second is booked once; these sum to " +
                 nlohmann::json(sum).dump());
  }
}

Json environment_json(const Environment& environment) {
  return {{"git_revision", environment.git_revision},
          {"hardware", environment.hardware},
          {"driver", environment.driver},
          {"libraries", environment.libraries},
          {"catalogue_date", environment.catalogue_date},
          {"profile_digest", environment.profile_digest},
          {"host", environment.host}};
}

Environment read_environment(JsonObject object) {
  Environment environment;
  environment.git_revision = object.text("git_revision");
  environment.hardware = object.text("hardware");
  environment.driver = object.text("driver");
  JsonObject libraries = object.object("libraries");
  for (const std::string& name : libraries.keys()) {
    environment.libraries[name] = libraries.text(name);
  }
  environment.catalogue_date = object.text("catalogue_date");
  environment.profile_digest = object.text("profile_digest");
  environment.host = object.text("host");
  object.finish();
  return environment;
}

Json metrics_json(const std::map<std::string, MetricValue>& metrics) {
  Json json = Json::object();
  for (const auto& [name, value] : metrics) {
    json[name] = {{"p10", value.p10},
                  {"p50", value.p50},
                  {"p90", value.p90},
                  {"unit", value.unit},
                  {"provenance", value.provenance},
                  {"definition", metric_or_throw(name).definition}};
  }
  return json;
}

MetricValue read_metric(const std::string& name, JsonObject object) {
  const MetricValue value{object.number("p10"), object.number("p50"), object.number("p90"),
                          object.text("unit"), object.text("provenance")};
  const std::string definition = object.text("definition");
  const Metric* metric = find_metric(name);
  if (metric != nullptr && definition != metric->definition) {
    object.fail("definition", "this build defines " + std::string(metric->definition) + ", saw \"" +
                                  definition + "\": the values cannot be compared");
  }
  object.finish();
  return value;
}

std::map<std::string, MetricValue> read_metrics(JsonObject object) {
  std::map<std::string, MetricValue> metrics;
  for (const std::string& name : object.keys()) metrics[name] = read_metric(name, object.object(name));
  return metrics;
}

LedgerEntry read_ledger_entry(JsonObject object) {
  LedgerEntry entry;
  const std::string name = object.text("cause");
  const auto cause = find_cause(name);
  if (!cause) {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < kCauseCount; ++i) {
      names.emplace_back(name_of(static_cast<Cause>(i)));
    }
    object.fail("cause", "unknown cause \"" + name + "\"" + did_you_mean(name, names));
  }
  entry.cause = *cause;
  entry.share = object.number("share");
  entry.p10 = object.number("p10");
  entry.p90 = object.number("p90");
  object.finish();
  return entry;
}

// Text that is not UTF-8 cannot be JSON.
std::string dumped(const Json& json, int indent) {
  try {
    return json.dump(indent);
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorKind::kInput, "", std::string("cannot be written as JSON: ") + error.what());
  }
}

}  // namespace

std::string_view name_of(RunSource source) {
  return source == RunSource::kPredicted ? "predicted" : "measured";
}

std::optional<RunSource> find_run_source(std::string_view name) {
  for (const RunSource source : {RunSource::kPredicted, RunSource::kMeasured}) {
    if (name_of(source) == name) return source;
  }
  return std::nullopt;
}

void validate_run_record(const RunRecord& record, const std::string& where) {
  if (!contains(kFidelities, record.fidelity)) {
    complain(where, "/fidelity",
             "expected one of " + joined(kFidelities) + ", saw \"" + record.fidelity + "\"");
  }
  if ((record.fidelity == "engine") != (record.source == RunSource::kMeasured)) {
    complain(where, "/fidelity",
             "\"engine\" belongs to measured runs, the others to predicted ones; saw \"" +
                 record.fidelity + "\" of a " + std::string(name_of(record.source)) + " run");
  }
  if (record.scenario_digest.empty()) complain(where, "/scenario_digest", "expected a digest");
  if (record.plan_digest.empty()) complain(where, "/plan_digest", "expected a digest");
  if (record.repeats < 1) complain(where, "/repeats", "expected at least 1");
  for (const auto& [name, value] : record.metrics) validate_metric(name, value, "/metrics", where);
  for (const auto& [tenant, metrics] : record.tenants) {
    if (tenant.empty()) complain(where, "/tenants", "expected the name of a tenant, saw \"\"");
    for (const auto& [name, value] : metrics) validate_metric(name, value, "/tenants/" + tenant, where);
  }
  validate_ledger(record.ledger, where);
}

std::string to_json(const Environment& environment, int indent) {
  return dumped(environment_json(environment), indent);
}

Environment environment_from_json(std::string_view text, const std::string& where) {
  const nlohmann::json document = parse_json(text, where);
  return read_environment(JsonObject(document, "", where));
}

std::string to_json(const RunRecord& record, int indent) {
  validate_run_record(record, "");
  Json tenants = Json::object();
  for (const auto& [tenant, metrics] : record.tenants) tenants[tenant] = metrics_json(metrics);
  Json ledger = Json::array();
  for (const LedgerEntry& entry : record.ledger) {
    ledger.push_back({{"cause", name_of(entry.cause)},
                      {"share", entry.share},
                      {"p10", entry.p10},
                      {"p90", entry.p90}});
  }
  Json json = {{"source", name_of(record.source)},
               {"fidelity", record.fidelity},
               {"scenario_name", record.scenario_name},
               {"scenario_digest", record.scenario_digest},
               {"plan_name", record.plan_name},
               {"plan_digest", record.plan_digest},
               {"seed", record.seed},
               {"repeats", record.repeats},
               {"started_utc", record.started_utc},
               {"output_hash", record.output_hash},
               {"metrics", metrics_json(record.metrics)},
               {"ledger", ledger},
               {"environment", environment_json(record.environment)}};
  if (!record.tenants.empty()) json["tenants"] = std::move(tenants);
  return dumped(json, indent);
}

RunRecord run_record_from_json(std::string_view text, const std::string& where) {
  const nlohmann::json document = parse_json(text, where);
  JsonObject root(document, "", where);
  RunRecord record;
  const std::string source_name = root.text("source");
  const auto source = find_run_source(source_name);
  if (!source) {
    root.fail("source", "expected predicted or measured, saw \"" + source_name + "\"");
  }
  record.source = *source;
  record.fidelity = root.text("fidelity");
  record.scenario_name = root.text("scenario_name");
  record.scenario_digest = root.text("scenario_digest");
  record.plan_name = root.text("plan_name");
  record.plan_digest = root.text("plan_digest");
  record.seed = root.unsigned_integer("seed");
  record.repeats = root.integer("repeats", 1);
  record.started_utc = root.text("started_utc");
  record.output_hash = root.text("output_hash");
  record.metrics = read_metrics(root.object("metrics"));
  if (root.optional("tenants")) {
    JsonObject tenants = root.object("tenants");
    for (const std::string& tenant : tenants.keys()) record.tenants[tenant] = read_metrics(tenants.object(tenant));
  }
  for (const JsonObject& entry : root.objects("ledger")) {
    record.ledger.push_back(read_ledger_entry(entry));
  }
  record.environment = read_environment(root.object("environment"));
  // What `lindos run` prints beside its record is no part of it.
  (void)root.optional("samples");
  root.finish();
  validate_run_record(record, where);
  return record;
}

}  // namespace lindos
