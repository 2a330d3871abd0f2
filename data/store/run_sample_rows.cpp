// SPDX-License-Identifier: Apache-2.0
#include "data/store/run_sample_rows.h"

#include <bit>
#include <cstddef>

#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Statement.h>
#include <SQLiteCpp/VariadicBind.h>

#include "data/store/little_endian.h"
#include "scenarios/error.h"

namespace lindos::data {

namespace {

using SQLite::Database;
using SQLite::Statement;

constexpr std::size_t kPointBytes = 8;

}  // namespace

void insert_run_samples(Database& database, std::int64_t run, const RunSamples& samples) {
  Statement phases(database, "INSERT INTO sample_phase VALUES (?, ?, ?, ?)");
  for (std::size_t i = 0; i < samples.phases.size(); ++i) {
    SQLite::bind(phases, run, static_cast<std::int64_t>(i), samples.phases[i].t_s, samples.phases[i].name);
    phases.exec();
    phases.reset();
  }
  Statement rows(database, "INSERT INTO sample_series VALUES (?, ?, ?, ?, ?, ?, ?)");
  for (std::size_t i = 0; i < samples.series.size(); ++i) {
    const SampleSeries& series = samples.series[i];
    std::string bytes;
    bytes.reserve(series.points.size() * kPointBytes);
    for (const SamplePoint& point : series.points) {
      append_word(bytes, std::bit_cast<std::uint32_t>(point.t_s));
      append_word(bytes, std::bit_cast<std::uint32_t>(point.value));
    }
    rows.bind(1, run);
    rows.bind(2, static_cast<std::int64_t>(i));
    rows.bind(3, series.subject);
    rows.bind(4, series.quantity);
    rows.bind(5, std::string(find_sample_quantity(series.quantity)->definition));
    rows.bind(6, series.absent);
    rows.bind(7, bytes.data(), static_cast<int>(bytes.size()));
    rows.exec();
    rows.reset();
  }
}

RunSamples read_run_samples(Database& database, std::int64_t run, const std::string& where) {
  RunSamples samples;
  Statement phases(database, "SELECT t_s, name FROM sample_phase WHERE run = ? ORDER BY position");
  phases.bind(1, run);
  while (phases.executeStep()) samples.phases.push_back({phases.getColumn(0).getDouble(), phases.getColumn(1).getString()});
  Statement rows(database,
                 "SELECT subject, quantity, definition, absent, points FROM sample_series WHERE run = ? "
                 "ORDER BY position");
  rows.bind(1, run);
  while (rows.executeStep()) {
    const std::string quantity = rows.getColumn(1).getString();
    const std::string definition = rows.getColumn(2).getString();
    const Metric* known = find_sample_quantity(quantity);
    if (known == nullptr || known->definition != definition) {
      throw Error(ErrorKind::kInput, where,
                  "run " + std::to_string(run) + " has the sampled quantity \"" + definition +
                      "\", which this build does not know");
    }
    SampleSeries series{rows.getColumn(0).getString(), quantity, rows.getColumn(3).getString(), {}};
    const std::string bytes = rows.getColumn(4).getString();
    if (bytes.size() % kPointBytes != 0) {
      throw Error(ErrorKind::kEnvironment, where,
                  "the samples of \"" + quantity + "\" of run " + std::to_string(run) + " are cut short");
    }
    for (std::size_t i = 0; i < bytes.size(); i += kPointBytes)
      series.points.push_back({std::bit_cast<float>(word_at(bytes, i)), std::bit_cast<float>(word_at(bytes, i + 4))});
    samples.series.push_back(std::move(series));
  }
  try {
    validate_run_samples(samples, where);
  } catch (const Error& error) {
    // Written by us, so it was good once.
    throw Error(ErrorKind::kEnvironment, where,
                "the samples of run " + std::to_string(run) + " are damaged: " + error.what());
  }
  return samples;
}

}  // namespace lindos::data
