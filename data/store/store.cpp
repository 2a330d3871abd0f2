// SPDX-License-Identifier: Apache-2.0
#include "data/store/store.h"

#include <bit>
#include <utility>

#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Statement.h>
#include <SQLiteCpp/Transaction.h>
#include <SQLiteCpp/VariadicBind.h>

#include "data/store/connection.h"
#include "data/store/device_map_rows.h"
#include "data/store/run_sample_rows.h"
#include "data/store/tuned_product_rows.h"
#include "scenarios/error.h"
#include "scenarios/metrics.h"
#include "scenarios/profile.h"
#include "scenarios/scenario.h"

namespace lindos::data {
namespace {

using SQLite::Database;
using SQLite::Statement;

template <class... Values>
void execute(Database& database, const char* sql, const Values&... values) {
  Statement statement(database, sql);
  SQLite::bind(statement, values...);
  statement.exec();
}

// The first column of the first row.
template <class... Values>
std::optional<std::string> find_text(Database& database, const char* sql, const Values&... values) {
  Statement statement(database, sql);
  SQLite::bind(statement, values...);
  if (!statement.executeStep()) return std::nullopt;
  return statement.getColumn(0).getString();
}

std::string insert_environment(Database& database, const Environment& environment) {
  std::string digest = digest_of_text(to_json(environment, -1));
  execute(database,
          "INSERT INTO environment (digest, git_revision, hardware, driver, catalogue_date, "
          "profile_digest, host) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
          digest, environment.git_revision, environment.hardware, environment.driver,
          environment.catalogue_date, environment.profile_digest, environment.host);
  for (const auto& [name, version] : environment.libraries) {
    execute(database,
            "INSERT INTO environment_library (environment_digest, name, version) VALUES (?, ?, ?) "
            "ON CONFLICT DO NOTHING",
            digest, name, version);
  }
  return digest;
}

void insert_profile(Database& database, const std::string& digest, const std::string& json) {
  const Profile profile = profile_from_json(json, "profile");
  execute(database,
          "INSERT INTO profile (digest, date, json) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
          digest, profile.date, json);
}

void insert_metrics(Database& database, std::int64_t run, const RunRecord& record) {
  for (const auto& [name, value] : record.metrics) {
    execute(database,
            "INSERT INTO metric (run, name, definition, p10, p50, p90, unit, provenance) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            run, name, std::string(metric_or_throw(name).definition), value.p10, value.p50,
            value.p90, value.unit, value.provenance);
  }
}

void insert_tenants(Database& database, std::int64_t run, const RunRecord& record) {
  for (const auto& [tenant, metrics] : record.tenants) {
    for (const auto& [name, value] : metrics) {
      execute(database,
              "INSERT INTO tenant_metric (run, tenant, name, definition, p10, p50, p90, unit, provenance) "
              "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
              run, tenant, name, std::string(metric_or_throw(name).definition), value.p10, value.p50, value.p90,
              value.unit, value.provenance);
    }
  }
}

void insert_ledger(Database& database, std::int64_t run, const RunRecord& record) {
  std::int64_t position = 0;
  for (const LedgerEntry& entry : record.ledger) {
    execute(database,
            "INSERT INTO ledger_entry (run, position, cause, share, p10, p90) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            run, position++, std::string(name_of(entry.cause)), entry.share, entry.p10, entry.p90);
  }
}

// Within the transaction of the caller.
std::int64_t insert_run(Database& database, const RunRecord& record,
                        std::string_view scenario_text, std::string_view plan_json,
                        std::string_view profile_json) {
  execute(database,
          "INSERT INTO scenario (digest, name, canonical_text) VALUES (?, ?, ?) "
          "ON CONFLICT DO NOTHING",
          record.scenario_digest, record.scenario_name, std::string(scenario_text));
  execute(database,
          "INSERT INTO plan (digest, name, json) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
          record.plan_digest, record.plan_name, std::string(plan_json));
  if (!profile_json.empty()) {
    insert_profile(database, record.environment.profile_digest, std::string(profile_json));
  }
  const std::string environment = insert_environment(database, record.environment);
  execute(database,
          "INSERT INTO run (source, fidelity, scenario_digest, scenario_name, plan_digest, "
          "plan_name, environment_digest, seed, repeats, output_hash, started_utc) "
          "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
          std::string(name_of(record.source)), record.fidelity, record.scenario_digest,
          record.scenario_name, record.plan_digest, record.plan_name, environment,
          std::bit_cast<std::int64_t>(record.seed), record.repeats, record.output_hash,
          record.started_utc);
  const std::int64_t run = database.getLastInsertRowid();
  insert_metrics(database, run, record);
  insert_tenants(database, run, record);
  insert_ledger(database, run, record);
  return run;
}

Environment load_environment(Database& database, const std::string& digest) {
  Statement row(database,
                "SELECT git_revision, hardware, driver, catalogue_date, profile_digest, host "
                "FROM environment WHERE digest = ?");
  SQLite::bind(row, digest);
  row.executeStep();
  Environment environment;
  environment.git_revision = row.getColumn(0).getString();
  environment.hardware = row.getColumn(1).getString();
  environment.driver = row.getColumn(2).getString();
  environment.catalogue_date = row.getColumn(3).getString();
  environment.profile_digest = row.getColumn(4).getString();
  environment.host = row.getColumn(5).getString();
  Statement libraries(database,
                      "SELECT name, version FROM environment_library WHERE environment_digest = ?");
  SQLite::bind(libraries, digest);
  while (libraries.executeStep()) {
    environment.libraries[libraries.getColumn(0).getString()] = libraries.getColumn(1).getString();
  }
  return environment;
}

void load_tenants(Database& database, std::int64_t run, RunRecord& record) {
  Statement rows(database,
                 "SELECT tenant, name, p10, p50, p90, unit, provenance FROM tenant_metric WHERE run = ?");
  SQLite::bind(rows, run);
  while (rows.executeStep()) {
    record.tenants[rows.getColumn(0).getString()][rows.getColumn(1).getString()] = {
        rows.getColumn(2).getDouble(), rows.getColumn(3).getDouble(), rows.getColumn(4).getDouble(),
        rows.getColumn(5).getString(), rows.getColumn(6).getString()};
  }
}

void put_artifact(Database& database, std::int64_t run, const std::string& name, std::string_view content) {
  Statement statement(database,
                      "INSERT INTO artifact (run, name, content) VALUES (?, ?, ?) "
                      "ON CONFLICT DO UPDATE SET content = excluded.content");
  statement.bind(1, run);
  statement.bind(2, name);
  // SQLite takes a null pointer for NULL, and an empty view may have one.
  statement.bind(3, content.empty() ? "" : content.data(), static_cast<int>(content.size()));
  statement.exec();
}

RunSource source_of(const std::string& name) {
  // The schema admits these two names only.
  return name == name_of(RunSource::kMeasured) ? RunSource::kMeasured : RunSource::kPredicted;
}

Cause cause_of(const std::string& name, const std::string& where) {
  if (const auto cause = find_cause(name)) return *cause;
  throw Error(ErrorKind::kInput, where,
              "the ledger has the cause \"" + name + "\", which this build does not know");
}

RunSummary summary_of(const Statement& row) {
  return {row.getColumn(0).getInt64(),  source_of(row.getColumn(1).getString()),
          row.getColumn(2).getString(), row.getColumn(3).getString(),
          row.getColumn(4).getString(), row.getColumn(5).getString(),
          row.getColumn(6).getString(), row.getColumn(7).getString(),
          row.getColumn(8).getString()};
}

template <class Value>
void bind_optional(Statement& statement, const char* name, const std::optional<Value>& value) {
  if (value) {
    statement.bind(name, *value);
  } else {
    statement.bind(name);
  }
}

}  // namespace

Store::Store(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&&) noexcept = default;
Store::~Store() = default;

Store Store::open(const std::filesystem::path& path, Mode mode, const StoreOptions& options) {
  return Store(std::make_unique<Connection>(path, mode, options));
}

std::int64_t Store::insert(const RunRecord& record, std::string_view scenario_text,
                           std::string_view plan_json, std::string_view profile_json) {
  return insert_together({&record}, scenario_text, plan_json, profile_json).front();
}

std::vector<std::int64_t> Store::insert_together(const std::vector<NewRun>& records,
                                                 std::string_view scenario_text,
                                                 std::string_view plan_json,
                                                 std::string_view profile_json) {
  for (const NewRun& run : records) {
    validate_run_record(*run.record, "run");
    if (run.devices != nullptr) validate_device_map(*run.devices, "run");
    if (run.samples != nullptr) validate_run_samples(*run.samples, "run");
    if (!profile_json.empty() && run.record->environment.profile_digest.empty()) {
      throw Error(ErrorKind::kInput, "run: /environment/profile_digest",
                  "expected the digest of the profile that is stored with the run");
    }
  }
  return connection_->run([&](Database& database) {
    SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
    std::vector<std::int64_t> runs;
    for (const NewRun& run : records) {
      runs.push_back(insert_run(database, *run.record, scenario_text, plan_json, profile_json));
      if (run.devices != nullptr) insert_device_map(database, runs.back(), *run.devices);
      if (run.samples != nullptr) insert_run_samples(database, runs.back(), *run.samples);
      if (run.timeline != nullptr) put_artifact(database, runs.back(), kTimelineArtifact, *run.timeline);
    }
    transaction.commit();
    return runs;
  });
}

RunRecord Store::load(std::int64_t id) const {
  return connection_->run([&](Database& database) {
    // One snapshot for all the tables, though nobody changes a run that was written.
    SQLite::Transaction snapshot(database);
    Statement row(
        database,
        "SELECT source, fidelity, scenario_digest, scenario_name, plan_digest, plan_name, "
        "environment_digest, seed, repeats, output_hash, started_utc FROM run WHERE id = ?");
    SQLite::bind(row, id);
    if (!row.executeStep()) {
      throw Error(ErrorKind::kInput, connection_->path().string(),
                  "no run " + std::to_string(id) + " in the store");
    }
    RunRecord record;
    record.source = source_of(row.getColumn(0).getString());
    record.fidelity = row.getColumn(1).getString();
    record.scenario_digest = row.getColumn(2).getString();
    record.scenario_name = row.getColumn(3).getString();
    record.plan_digest = row.getColumn(4).getString();
    record.plan_name = row.getColumn(5).getString();
    record.environment = load_environment(database, row.getColumn(6).getString());
    record.seed = std::bit_cast<std::uint64_t>(row.getColumn(7).getInt64());
    record.repeats = row.getColumn(8).getInt64();
    record.output_hash = row.getColumn(9).getString();
    record.started_utc = row.getColumn(10).getString();
    Statement metrics(database,
                      "SELECT name, p10, p50, p90, unit, provenance FROM metric WHERE run = ?");
    SQLite::bind(metrics, id);
    while (metrics.executeStep()) {
      record.metrics[metrics.getColumn(0).getString()] = {
          metrics.getColumn(1).getDouble(), metrics.getColumn(2).getDouble(),
          metrics.getColumn(3).getDouble(), metrics.getColumn(4).getString(),
          metrics.getColumn(5).getString()};
    }
    load_tenants(database, id, record);
    Statement ledger(
        database,
        "SELECT cause, share, p10, p90 FROM ledger_entry WHERE run = ? ORDER BY position");
    SQLite::bind(ledger, id);
    while (ledger.executeStep()) {
      record.ledger.push_back(
          {cause_of(ledger.getColumn(0).getString(), connection_->path().string()),
           ledger.getColumn(1).getDouble(), ledger.getColumn(2).getDouble(),
           ledger.getColumn(3).getDouble()});
    }
    return record;
  });
}

std::optional<DeviceMap> Store::load_device_map(std::int64_t id) const {
  return connection_->run([&](Database& database) -> std::optional<DeviceMap> {
    SQLite::Transaction snapshot(database);
    DeviceMap map = read_device_map(database, id, connection_->path().string());
    if (map.pools.empty()) return std::nullopt;
    return map;
  });
}

std::optional<RunSamples> Store::load_run_samples(std::int64_t id) const {
  return connection_->run([&](Database& database) -> std::optional<RunSamples> {
    SQLite::Transaction snapshot(database);
    RunSamples samples = read_run_samples(database, id, connection_->path().string());
    if (samples.series.empty()) return std::nullopt;
    return samples;
  });
}

std::vector<RunSummary> Store::list(const RunFilter& filter) const {
  return connection_->run([&](Database& database) {
    // A filter that is not set is NULL and matches every row; LIMIT −1 is SQL for no limit.
    Statement rows(database,
                   "SELECT id, source, fidelity, scenario_name, scenario_digest, plan_name, "
                   "plan_digest, started_utc, created_utc FROM run "
                   "WHERE source = ifnull(:source, source) "
                   "AND fidelity = ifnull(:fidelity, fidelity) "
                   "AND scenario_name = ifnull(:scenario_name, scenario_name) "
                   "AND scenario_digest = ifnull(:scenario_digest, scenario_digest) "
                   "AND plan_digest = ifnull(:plan_digest, plan_digest) "
                   "ORDER BY id DESC LIMIT ifnull(:limit, -1)");
    std::optional<std::string> source;
    if (filter.source) source = name_of(*filter.source);
    bind_optional(rows, ":source", source);
    bind_optional(rows, ":fidelity", filter.fidelity);
    bind_optional(rows, ":scenario_name", filter.scenario_name);
    bind_optional(rows, ":scenario_digest", filter.scenario_digest);
    bind_optional(rows, ":plan_digest", filter.plan_digest);
    bind_optional(rows, ":limit", filter.limit);
    std::vector<RunSummary> runs;
    while (rows.executeStep()) runs.push_back(summary_of(rows));
    return runs;
  });
}

std::optional<RunSummary> Store::latest(RunFilter filter) const {
  filter.limit = 1;
  auto runs = list(filter);
  if (runs.empty()) return std::nullopt;
  return std::move(runs.front());
}

std::optional<std::int64_t> Store::measurement_of(const RunRecord& record) const {
  if (record.source == RunSource::kMeasured) return std::nullopt;
  RunFilter filter;
  filter.source = RunSource::kMeasured;
  filter.scenario_digest = record.scenario_digest;
  filter.plan_digest = record.plan_digest;
  const std::optional<RunSummary> found = latest(filter);
  return found ? std::optional(found->id) : std::nullopt;
}

std::vector<RunPair> Store::list_pairs(std::int64_t limit) const {
  return connection_->run([&](Database& database) {
    Statement rows(database,
                   "SELECT predicted, measured FROM (SELECT m.id AS measured, (SELECT max(p.id) FROM run p "
                   "WHERE p.scenario_digest = m.scenario_digest AND p.plan_digest = m.plan_digest "
                   "AND p.source = 'predicted' AND p.id < m.id) AS predicted FROM run m WHERE m.source = 'measured') "
                   "WHERE predicted IS NOT NULL ORDER BY measured DESC LIMIT ?");
    rows.bind(1, limit);
    std::vector<RunPair> pairs;
    while (rows.executeStep()) pairs.push_back({rows.getColumn(0).getInt64(), rows.getColumn(1).getInt64()});
    return pairs;
  });
}

std::optional<std::string> Store::scenario_text(const std::string& digest) const {
  return connection_->run([&](Database& database) {
    return find_text(database, "SELECT canonical_text FROM scenario WHERE digest = ?", digest);
  });
}

std::optional<std::string> Store::plan_json(const std::string& digest) const {
  return connection_->run([&](Database& database) {
    return find_text(database, "SELECT json FROM plan WHERE digest = ?", digest);
  });
}

std::optional<std::string> Store::profile_json(const std::string& digest) const {
  return connection_->run([&](Database& database) {
    return find_text(database, "SELECT json FROM profile WHERE digest = ?", digest);
  });
}

void Store::attach(std::int64_t run, const std::string& name, std::string_view content) {
  // SQLite holds at most 1e9 bytes in one value (SQLITE_MAX_LENGTH).
  constexpr std::size_t kLargest = 1000000000;
  if (content.size() > kLargest) {
    throw Error(ErrorKind::kInput, name,
                "an artifact holds at most 1 GB, saw " + std::to_string(content.size()) + " bytes");
  }
  connection_->run([&](Database& database) {
    SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
    if (!find_text(database, "SELECT id FROM run WHERE id = ?", run)) {
      throw Error(ErrorKind::kInput, connection_->path().string(),
                  "no run " + std::to_string(run) + " in the store");
    }
    put_artifact(database, run, name, content);
    transaction.commit();
  });
}

std::optional<std::string> Store::find_artifact(std::int64_t run, const std::string& name) const {
  return connection_->run([&](Database& database) {
    return find_text(database, "SELECT content FROM artifact WHERE run = ? AND name = ?", run,
                     name);
  });
}

std::vector<TunedProduct> Store::tuned_products() const {
  return connection_->run([&](Database& database) { return read_tuned_products(database); });
}

void Store::remember(const std::vector<TunedProduct>& products) {
  if (products.empty()) return;
  connection_->run([&](Database& database) {
    SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
    put_tuned_products(database, products);
    transaction.commit();
  });
}

}  // namespace lindos::data
