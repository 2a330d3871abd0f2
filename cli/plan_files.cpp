// SPDX-License-Identifier: Apache-2.0
#include "cli/plan_files.h"

#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/session.h"
#include "cli/table.h"
#include "scenarios/error.h"
#include "scenarios/made_for.h"
#include "scenarios/text_layout.h"

namespace lindos::cli {

namespace {

std::string signed_percent(double ratio) {
  if (std::abs(ratio) < 0.0005) return "0.0 %";
  return fmt::format("{}{:.1f} %", ratio < 0.0 ? "−" : "+", std::abs(ratio) * 100.0);
}

}  // namespace

std::vector<std::string> write_plan_files(const std::vector<const Scenario*>& scenarios,
                                          const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw Error(ErrorKind::kEnvironment, folder.string(), "the folder cannot be made: " + error.message());
  std::vector<std::string> files;
  for (const Scenario* scenario : scenarios) {
    const std::filesystem::path file = folder / fmt::format("plan-{}.json", files.size() + 1);
    write_file(file, lindos::to_json(scenario->plan, *scenario));
    write_file(std::filesystem::path(file).replace_extension(".toml"), to_toml(*scenario));
    files.push_back(file.string());
  }
  return files;
}

std::string gains_table(const std::vector<sim::PlanGain>& gains) {
  if (gains.empty()) return {};
  Table table({"gain of plan 1 over", "p50", "p10 – p90"});
  for (const sim::PlanGain& gain : gains)
    table.add({gain.baseline, signed_percent(gain.p50), signed_percent(gain.p10) + " – " + signed_percent(gain.p90)});
  return table.text();
}

std::string pruned_text(const sim::Pruned& pruned, std::size_t width) {
  std::string out;
  for (const auto& [reason, entry] : pruned.reasons()) {
    out += (out.empty() ? "" : "\n");
    out += "  " + wrapped(fmt::format("left out {}: {}{}", with_thousands(entry.count), reason,
                                      entry.example.empty() ? "" : ", such as " + entry.example),
                          width, 4);
  }
  return out;
}

nlohmann::ordered_json json_of(const std::vector<sim::PlanGain>& gains) {
  auto out = nlohmann::ordered_json::array();
  for (const sim::PlanGain& gain : gains)
    out.push_back({{"over", gain.baseline}, {"gain", gain.p50}, {"p10", gain.p10}, {"p90", gain.p90}});
  return out;
}

nlohmann::ordered_json json_of(const sim::Pruned& pruned) {
  auto out = nlohmann::ordered_json::array();
  for (const auto& [reason, entry] : pruned.reasons())
    out.push_back({{"reason", reason}, {"count", entry.count}, {"example", entry.example}});
  return out;
}

}  // namespace lindos::cli
