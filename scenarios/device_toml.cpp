// SPDX-License-Identifier: Apache-2.0
// Device ↔ TOML: a catalogue file ("format": "lindos-device") or a [[device]] table of a scenario.
#include <algorithm>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "scenarios/scenario_toml.h"

namespace lindos {
namespace {

constexpr Dtype kDtypes[] = {Dtype::kF32, Dtype::kF16, Dtype::kBf16,
                             Dtype::kFp8, Dtype::kFp4, Dtype::kInt8};

bool is_probed(const Device& device) { return device.peak.empty() && device.memory == Bytes{0}; }

void read_figures(const TomlTable& table, Device& device) {
  const TomlTable peak = table.table("peak");
  peak.allow({"f32", "f16", "bf16", "fp8", "fp4", "int8"});
  for (const Dtype d : kDtypes) {
    if (!peak.has(name_of(d))) continue;
    device.peak[d] = peak.quantity<FlopPerSecond>(name_of(d));
    if (device.peak[d] == FlopPerSecond{0}) peak.fail(name_of(d), "must be above zero");
  }
  if (device.peak.empty())
    table.fail("peak", "expected at least one dtype such as bf16 = \"989 TFLOP/s\"");
  device.memory = table.quantity<Bytes>("memory");
  if (device.memory == Bytes{0}) table.fail("memory", "must be above zero");
  device.memory_bandwidth = table.quantity<BytesPerSecond>("memory_bandwidth");
  if (device.memory_bandwidth == BytesPerSecond{0})
    table.fail("memory_bandwidth", "must be above zero");
  device.scale_up_bandwidth = table.quantity_or("scale_up_bandwidth", BytesPerSecond{0});
  device.scale_up_domain = table.small_or("scale_up_domain", 1, 1, 1'000'000);
  device.scale_out_bandwidth = table.quantity_or("scale_out_bandwidth", BytesPerSecond{0});
  device.host_bandwidth = table.quantity_or("host_bandwidth", BytesPerSecond{0});
  device.power_max = table.quantity<Watts>("power_max");
  device.power_idle = table.quantity<Watts>("power_idle");
  if (device.power_idle >= device.power_max) {
    table.fail("power_idle", format(device.power_idle) + " idle is not below power_max " +
                                 format(device.power_max));
  }
  device.compute_capability = table.small_or("compute_capability", 0, 0, 999);
}

// The figures of a device that need a source, as named in [[source]] fields.
std::vector<std::string> figures_given(const TomlTable& table) {
  std::vector<std::string> names;
  for (const std::string& key : table.keys()) {
    static const std::vector<std::string> kNoFigures{"format", "version", "name",
                                                     "label",  "probe",   "source"};
    if (key == "peak") {
      for (const std::string& d : table.table("peak").keys()) names.push_back("peak." + d);
    } else if (std::find(kNoFigures.begin(), kNoFigures.end(), key) == kNoFigures.end()) {
      names.push_back(key);
    }
  }
  return names;
}

void read_sources(const TomlTable& table, Device& device) {
  const std::vector<std::string> figures = figures_given(table);
  for (const TomlTable& entry : table.tables_or_none("source")) {
    entry.allow({"fields", "text", "date"});
    const auto* fields = entry.has("fields") ? entry.raw().get("fields")->as_array() : nullptr;
    if (fields == nullptr || fields->empty()) {
      entry.fail("fields",
                 "expected fields = [\"memory\", …]: the figures that this source covers");
    }
    Source source{entry.text("text"), ""};
    const auto date =
        entry.has("date") ? entry.raw().get("date")->value<toml::date>() : std::nullopt;
    if (!date)
      entry.fail("date", "expected the date of reading such as date = 2026-08-01 (no quotes)");
    std::ostringstream written;
    written << *date;
    source.date = written.str();
    for (const toml::node& field : *fields) {
      const std::string name = field.value_or(std::string());
      if (std::find(figures.begin(), figures.end(), name) == figures.end()) {
        entry.fail_unknown("fields", "figure", name, figures);
      }
      if (!device.sources.emplace(name, source).second) {
        entry.fail("fields", "\"" + name + "\" has a second source");
      }
    }
  }
  for (const std::string& name : figures) {
    if (!device.sources.contains(name)) table.fail("", "\"" + name + "\" has no [[source]]");
  }
}

}  // namespace

Device read_device(const TomlTable& table) {
  table.allow({"format", "version", "name", "label", "probe", "compute_capability", "memory",
               "memory_bandwidth", "scale_up_bandwidth", "scale_up_domain", "scale_out_bandwidth",
               "host_bandwidth", "power_max", "power_idle", "peak", "source"});
  Device device;
  device.name = table.text("name");
  device.label = table.text_or("label", device.name);
  if (table.boolean_or("probe", false)) {
    for (const std::string& figure : figures_given(table)) {
      table.fail(figure.substr(0, figure.find('.')),
                 "a device with probe = true takes its figures from the profile; remove the key");
    }
  } else {
    read_figures(table, device);
  }
  read_sources(table, device);
  return device;
}

Device parse_device(std::string_view text, const std::string& where) {
  const toml::table document = parse_toml(text, where);
  const TomlTable table(document, "", where);
  table.expect_format("lindos-device");
  return read_device(table);
}

void write_device(TomlText& out, const Device& device) {
  out.array_header("device");
  out.text("name", device.name);
  out.text("label", device.label);
  if (is_probed(device)) {
    out.boolean("probe", true);
    return;
  }
  // A figure without a source is a default that no file gave.
  const auto sourced = [&](const std::string& key) { return device.sources.contains(key); };
  if (sourced("compute_capability")) out.integer("compute_capability", device.compute_capability);
  out.quantity("memory", device.memory);
  out.quantity("memory_bandwidth", device.memory_bandwidth);
  if (sourced("scale_up_bandwidth")) out.quantity("scale_up_bandwidth", device.scale_up_bandwidth);
  if (sourced("scale_up_domain")) out.integer("scale_up_domain", device.scale_up_domain);
  if (sourced("scale_out_bandwidth"))
    out.quantity("scale_out_bandwidth", device.scale_out_bandwidth);
  if (sourced("host_bandwidth")) out.quantity("host_bandwidth", device.host_bandwidth);
  out.quantity("power_max", device.power_max);
  out.quantity("power_idle", device.power_idle);
  out.header("device.peak");
  for (const auto& [dtype, rate] : device.peak) out.quantity(name_of(dtype), rate);
  std::map<std::pair<std::string, std::string>, std::string> fields_by_source;
  for (const auto& [field, source] : device.sources) {
    std::string& list = fields_by_source[{source.text, source.date}];
    list += (list.empty() ? "" : ", ") + toml_quoted(field);
  }
  for (const auto& [source, fields] : fields_by_source) {
    out.array_header("device.source");
    out.raw("fields", '[' + fields + ']');
    out.text("text", source.first);
    out.raw("date", source.second);
  }
}

}  // namespace lindos
