// SPDX-License-Identifier: Apache-2.0
#include "data/store/comparison.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Statement.h>

#include "data/store/connection.h"
#include "data/store/store.h"
#include "scenarios/error.h"
#include "scenarios/metrics.h"

namespace lindos::data {
namespace {

using SQLite::Database;
using SQLite::Statement;

struct DefinedMetric {
  std::string definition;
  MetricValue value;
};
using DefinedMetrics = std::map<std::string, DefinedMetric>;

// A prediction without a spread is arithmetic (memory, KV blocks): a larger gap is an error in its formula.
constexpr double kExactTolerance = 0.02;

DefinedMetrics load_metrics(Database& database, std::int64_t run) {
  Statement rows(
      database,
      "SELECT name, definition, p10, p50, p90, unit, provenance FROM metric WHERE run = ?");
  rows.bind(1, run);
  DefinedMetrics metrics;
  while (rows.executeStep()) {
    metrics[rows.getColumn(0).getString()] = {
        rows.getColumn(1).getString(),
        {rows.getColumn(2).getDouble(), rows.getColumn(3).getDouble(),
         rows.getColumn(4).getDouble(), rows.getColumn(5).getString(),
         rows.getColumn(6).getString()}};
  }
  return metrics;
}

// Place in the registry; names of another build come last.
std::size_t rank_of(const std::string& name) {
  const auto& registry = metric_registry();
  const auto found = std::find_if(registry.begin(), registry.end(),
                                  [&](const Metric& metric) { return metric.name == name; });
  return static_cast<std::size_t>(found - registry.begin());
}

const DefinedMetric* find(const DefinedMetrics& metrics, const std::string& name) {
  const auto found = metrics.find(name);
  return found == metrics.end() ? nullptr : &found->second;
}

MetricComparison compare_metric(const std::string& name, const DefinedMetric* predicted,
                                const DefinedMetric* measured) {
  const DefinedMetric& present = predicted != nullptr ? *predicted : *measured;
  MetricComparison row;
  row.name = name;
  row.definition = present.definition;
  row.unit = present.value.unit;
  if (predicted != nullptr) row.predicted = predicted->value;
  if (measured != nullptr) row.measured = measured->value;
  if (predicted == nullptr || measured == nullptr) return row;
  if (predicted->definition != measured->definition) {
    throw Error(ErrorKind::kInput, "",
                name + ": predicted as " + predicted->definition + ", measured as " +
                    measured->definition +
                    ": values of different definitions cannot be compared; predict and run again "
                    "with one build");
  }
  const double truth = measured->value.p50;
  if (truth != 0.0) row.error_ratio = (predicted->value.p50 - truth) / truth;
  const MetricValue& p = predicted->value;
  row.inside_interval = p.p10 < p.p90 ? truth >= p.p10 && truth <= p.p90
                                      : std::abs(p.p50 - truth) <= kExactTolerance * std::abs(truth);
  return row;
}

void require_source(const RunRecord& record, const std::string& what, RunSource source) {
  if (record.source == source) return;
  throw Error(ErrorKind::kInput, "",
              what + " is " + std::string(name_of(record.source)) + ", expected a " +
                  std::string(name_of(source)) + " one");
}

std::string run_name(std::int64_t id) { return "run " + std::to_string(id); }

// Of a record of this build.
DefinedMetrics define(const std::map<std::string, MetricValue>& values) {
  DefinedMetrics metrics;
  for (const auto& [name, value] : values) {
    metrics[name] = {std::string(metric_or_throw(name).definition), value};
  }
  return metrics;
}

std::vector<MetricComparison> compare_defined(const DefinedMetrics& predicted,
                                              const DefinedMetrics& measured) {
  std::set<std::string> names;
  for (const auto& [name, unused] : predicted) names.insert(name);
  for (const auto& [name, unused] : measured) names.insert(name);
  std::vector<MetricComparison> rows;
  for (const std::string& name : names) {
    rows.push_back(compare_metric(name, find(predicted, name), find(measured, name)));
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const auto& a, const auto& b) { return rank_of(a.name) < rank_of(b.name); });
  return rows;
}

LedgerEntry entry_of(const std::vector<LedgerEntry>& ledger, Cause cause) {
  const auto found = std::find_if(ledger.begin(), ledger.end(),
                                  [&](const LedgerEntry& entry) { return entry.cause == cause; });
  return found != ledger.end() ? *found : LedgerEntry{cause, 0.0, 0.0, 0.0};
}

}  // namespace

std::vector<MetricComparison> compare_metrics(const RunRecord& predicted,
                                              const RunRecord& measured) {
  require_source(predicted, "the first record", RunSource::kPredicted);
  require_source(measured, "the second record", RunSource::kMeasured);
  return compare_defined(define(predicted.metrics), define(measured.metrics));
}

std::vector<TenantComparison> compare_tenants(const RunRecord& predicted, const RunRecord& measured) {
  require_source(predicted, "the first record", RunSource::kPredicted);
  require_source(measured, "the second record", RunSource::kMeasured);
  std::set<std::string> names;
  for (const auto& [name, unused] : predicted.tenants) names.insert(name);
  for (const auto& [name, unused] : measured.tenants) names.insert(name);
  const auto metrics_of = [](const RunRecord& record, const std::string& name) {
    const auto found = record.tenants.find(name);
    return found == record.tenants.end() ? DefinedMetrics{} : define(found->second);
  };
  std::vector<TenantComparison> rows;
  for (const std::string& name : names)
    rows.push_back({name, compare_defined(metrics_of(predicted, name), metrics_of(measured, name))});
  return rows;
}

std::vector<LedgerComparison> compare_ledgers(const RunRecord& predicted,
                                              const RunRecord& measured) {
  require_source(predicted, "the first record", RunSource::kPredicted);
  require_source(measured, "the second record", RunSource::kMeasured);
  std::set<Cause> causes;
  for (const LedgerEntry& entry : predicted.ledger) causes.insert(entry.cause);
  for (const LedgerEntry& entry : measured.ledger) causes.insert(entry.cause);
  std::vector<LedgerComparison> rows;
  for (const Cause cause : causes) {
    const LedgerEntry p = entry_of(predicted.ledger, cause);
    const LedgerEntry m = entry_of(measured.ledger, cause);
    rows.push_back({cause, p, m, p.share - m.share, m.share >= p.p10 && m.share <= p.p90});
  }
  return rows;
}

std::vector<MetricComparison> Store::compare(std::int64_t predicted_id,
                                             std::int64_t measured_id) const {
  require_source(load(predicted_id), run_name(predicted_id), RunSource::kPredicted);
  require_source(load(measured_id), run_name(measured_id), RunSource::kMeasured);
  return connection_->run([&](Database& database) {
    return compare_defined(load_metrics(database, predicted_id),
                           load_metrics(database, measured_id));
  });
}

std::vector<LedgerComparison> Store::compare_ledgers(std::int64_t predicted_id,
                                                     std::int64_t measured_id) const {
  const RunRecord predicted = load(predicted_id);
  const RunRecord measured = load(measured_id);
  require_source(predicted, run_name(predicted_id), RunSource::kPredicted);
  require_source(measured, run_name(measured_id), RunSource::kMeasured);
  return data::compare_ledgers(predicted, measured);
}

std::optional<RunPair> Store::find_pair(const std::string& scenario_digest,
                                        const std::string& plan_digest) const {
  return connection_->run([&](Database& database) -> std::optional<RunPair> {
    Statement row(database,
                  "SELECT p.id, m.id FROM run AS m JOIN run AS p "
                  "ON p.scenario_digest = m.scenario_digest AND p.plan_digest = m.plan_digest "
                  "WHERE m.source = 'measured' AND p.source = 'predicted' "
                  "AND m.scenario_digest = ifnull(nullif(?1, ''), m.scenario_digest) "
                  "AND m.plan_digest = ifnull(nullif(?2, ''), m.plan_digest) "
                  "ORDER BY m.id DESC, p.id DESC LIMIT 1");
    row.bind(1, scenario_digest);
    row.bind(2, plan_digest);
    if (!row.executeStep()) return std::nullopt;
    return RunPair{row.getColumn(0).getInt64(), row.getColumn(1).getInt64()};
  });
}

}  // namespace lindos::data
