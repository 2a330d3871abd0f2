// SPDX-License-Identifier: Apache-2.0
#include "data/store/device_map_rows.h"

#include <bit>
#include <cstddef>
#include <string_view>

#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Statement.h>
#include <SQLiteCpp/VariadicBind.h>

#include "data/store/little_endian.h"
#include "scenarios/error.h"

namespace lindos::data {

namespace {

using SQLite::Database;
using SQLite::Statement;

constexpr std::size_t kSpanBytes = 8;

std::string bytes_of(const std::vector<FieldSpan>& spans) {
  std::string bytes;
  bytes.reserve(spans.size() * kSpanBytes);
  for (const FieldSpan& span : spans) {
    append_word(bytes, span.devices);
    append_word(bytes, std::bit_cast<std::uint32_t>(span.value));
  }
  return bytes;
}

std::vector<FieldSpan> spans_of(const std::string& bytes, const std::string& quantity, const std::string& where) {
  if (bytes.size() % kSpanBytes != 0) {
    throw Error(ErrorKind::kEnvironment, where, "the values per device of \"" + quantity + "\" are cut short");
  }
  std::vector<FieldSpan> spans;
  spans.reserve(bytes.size() / kSpanBytes);
  for (std::size_t i = 0; i < bytes.size(); i += kSpanBytes) {
    spans.push_back({word_at(bytes, i), std::bit_cast<float>(word_at(bytes, i + 4))});
  }
  return spans;
}

void read_fields(Database& database, std::int64_t run, const std::string& where, DeviceMap& map) {
  Statement rows(database, "SELECT quantity, definition, spans FROM device_field WHERE run = ?");
  rows.bind(1, run);
  while (rows.executeStep()) {
    const std::string quantity = rows.getColumn(0).getString();
    const Metric* known = find_device_quantity(quantity);
    if (known == nullptr || known->definition != rows.getColumn(1).getString()) {
      throw Error(ErrorKind::kInput, where,
                  "run " + std::to_string(run) + " has the quantity per device \"" + rows.getColumn(1).getString() +
                      "\", which this build does not know");
    }
    map.fields.push_back({quantity, spans_of(rows.getColumn(2).getString(), quantity, where)});
  }
}

}  // namespace

void insert_device_map(Database& database, std::int64_t run, const DeviceMap& map) {
  Statement pools(database, "INSERT INTO fleet_pool VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  for (std::size_t i = 0; i < map.pools.size(); ++i) {
    const PoolShape& pool = map.pools[i];
    SQLite::bind(pools, run, static_cast<std::int64_t>(i), pool.name, pool.device, pool.label, pool.devices_per_node,
                 pool.nodes, pool.nodes_per_rack, pool.racks_per_array, pool.racks_per_hall);
    pools.exec();
    pools.reset();
  }
  Statement stages(database, "INSERT INTO placed_stage VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
  for (std::size_t i = 0; i < map.stages.size(); ++i) {
    const PlacedStage& stage = map.stages[i];
    SQLite::bind(stages, run, static_cast<std::int64_t>(i), stage.group, stage.stage, stage.pool, stage.first,
                 stage.devices, stage.stride, stage.replicas);
    stages.exec();
    stages.reset();
  }
  Statement steps(database, "INSERT INTO drawn_step VALUES (?, ?, ?, ?, ?, ?)");
  for (std::size_t i = 0; i < map.steps.size(); ++i) {
    const DrawnStep& step = map.steps[i];
    SQLite::bind(steps, run, step.draw, step.step_s, step.stage, step.replica,
                 static_cast<int>(static_cast<std::int64_t>(i) == map.shown));
    steps.exec();
    steps.reset();
  }
  Statement fields(database, "INSERT INTO device_field VALUES (?, ?, ?, ?)");
  for (const DeviceField& field : map.fields) {
    const std::string bytes = bytes_of(field.spans);
    fields.bind(1, run);
    fields.bind(2, field.quantity);
    fields.bind(3, std::string(find_device_quantity(field.quantity)->definition));
    fields.bind(4, bytes.data(), static_cast<int>(bytes.size()));
    fields.exec();
    fields.reset();
  }
}

DeviceMap read_device_map(Database& database, std::int64_t run, const std::string& where) {
  DeviceMap map;
  Statement pools(
      database,
      "SELECT name, device, label, devices_per_node, nodes, nodes_per_rack, racks_per_array, racks_per_hall "
      "FROM fleet_pool WHERE run = ? ORDER BY position");
  pools.bind(1, run);
  while (pools.executeStep()) {
    map.pools.push_back({pools.getColumn(0).getString(), pools.getColumn(1).getString(), pools.getColumn(2).getString(),
                         pools.getColumn(3).getInt(), pools.getColumn(4).getInt64(), pools.getColumn(5).getInt(),
                         pools.getColumn(6).getInt(), pools.getColumn(7).getInt()});
  }
  if (map.pools.empty()) return map;
  Statement stages(database,
                   "SELECT group_name, stage, pool, first, devices, stride, replicas FROM placed_stage WHERE run = ? "
                   "ORDER BY position");
  stages.bind(1, run);
  while (stages.executeStep()) {
    map.stages.push_back({stages.getColumn(0).getString(), stages.getColumn(1).getInt(), stages.getColumn(2).getInt(),
                          stages.getColumn(3).getInt64(), stages.getColumn(4).getInt64(),
                          stages.getColumn(5).getInt64(), stages.getColumn(6).getInt64()});
  }
  Statement steps(database,
                  "SELECT draw, step_s, gate_stage, gate_replica, shown FROM drawn_step WHERE run = ? ORDER BY draw");
  steps.bind(1, run);
  while (steps.executeStep()) {
    if (steps.getColumn(4).getInt() != 0) map.shown = static_cast<std::int64_t>(map.steps.size());
    map.steps.push_back({steps.getColumn(0).getInt64(), steps.getColumn(1).getDouble(), steps.getColumn(2).getInt(),
                         steps.getColumn(3).getInt64()});
  }
  read_fields(database, run, where, map);
  try {
    validate_device_map(map, where);
  } catch (const Error& error) {
    // Written by us, so it was good once.
    throw Error(ErrorKind::kEnvironment, where,
                "the device map of run " + std::to_string(run) + " is damaged: " + error.what());
  }
  return map;
}

}  // namespace lindos::data
