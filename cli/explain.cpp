// SPDX-License-Identifier: Apache-2.0
#include "cli/explain.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/render.h"
#include "cli/session.h"
#include "cli/table.h"
#include "scenarios/error.h"
#include "scenarios/plan_json.h"
#include "scenarios/text_layout.h"

namespace lindos::cli {

namespace {

// Points of utilisation with a true minus.
std::string points(double share) {
  const double value = share * 100.0;
  if (std::abs(value) < 0.05) return "0.0";
  return fmt::format("{}{:.1f}", value < 0.0 ? "−" : "+", std::abs(value));
}

std::string band(const sim::Gain& gain) { return points(gain.p10) + " – " + points(gain.p90); }

std::string percent(double share) { return fmt::format("{:.1f} %", share * 100.0); }

nlohmann::ordered_json gain_json(const sim::Gain& gain) {
  return {{"gain", gain.p50}, {"p10", gain.p10}, {"p90", gain.p90}};
}

// Of the scenario; the plan's ends in .json.
std::string file_name(const sim::Mitigation& m, std::size_t index) {
  return m.scenarios.size() == 1 ? m.name + ".toml" : fmt::format("{}-{}.toml", m.name, index + 1);
}

}  // namespace

std::string render(const sim::Explanation& explanation) {
  std::string out = render(explanation.record);
  out += "\nWhat each cause costs: that cause alone made ideal (gains hide each other and do not add up)\n\n";
  Table restored({"cause", "points of MFU", "p10 – p90"});
  for (const sim::Restored& r : explanation.restored)
    restored.add({std::string(r.label), points(r.gain.p50), band(r.gain)});
  out += restored.text();
  out += "\nWhat would recover it\n\n";
  Table gains({"change", "points of MFU", "p10 – p90", "MFU", "of a running step"});
  for (const sim::Mitigation& m : explanation.mitigations) {
    if (m.refused.empty())
      gains.add({m.name, points(m.gain.p50), band(m.gain), percent(m.mfu), percent(m.steady_mfu)});
  }
  out += gains.text() + "\n";
  constexpr std::size_t kWidth = 100;
  for (const sim::Mitigation& m : explanation.mitigations) {
    const std::string text = m.refused.empty() ? m.what + ". Cost: " + m.cost : "does not apply: " + m.refused;
    out += "  " + wrapped(m.name + ": " + text, kWidth, 4) + "\n";
  }
  return out;
}

std::string to_json(const sim::Explanation& explanation) {
  auto out = nlohmann::ordered_json::parse(lindos::to_json(explanation.record));
  auto& restored = out["restored"] = nlohmann::ordered_json::array();
  for (const sim::Restored& r : explanation.restored) {
    nlohmann::ordered_json row{{"cause", r.name}};
    row.update(gain_json(r.gain));
    restored.push_back(std::move(row));
  }
  auto& mitigations = out["mitigations"] = nlohmann::ordered_json::array();
  for (const sim::Mitigation& m : explanation.mitigations) {
    nlohmann::ordered_json row{{"name", m.name}, {"what", m.what}, {"cost", m.cost}};
    if (m.refused.empty()) {
      row["refused"] = nullptr;
      row.update(gain_json(m.gain));
      row["mfu"] = m.mfu;
      row["steady_mfu"] = m.steady_mfu;
      auto& files = row["scenarios"] = nlohmann::ordered_json::array();
      for (std::size_t i = 0; i < m.scenarios.size(); ++i) files.push_back(file_name(m, i));
    } else {
      row["refused"] = m.refused;
    }
    mitigations.push_back(std::move(row));
  }
  return out.dump(2);
}

int write_scenarios(const sim::Explanation& explanation, const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    throw Error(ErrorKind::kEnvironment, folder.string(), "the folder cannot be made: " + error.message());
  }
  int written = 0;
  for (const sim::Mitigation& m : explanation.mitigations) {
    for (std::size_t i = 0; i < m.scenarios.size(); ++i) {
      const std::filesystem::path file = folder / file_name(m, i);
      write_file(file, to_toml(m.scenarios[i]));
      write_file(std::filesystem::path(file).replace_extension(".json"), lindos::to_json(m.scenarios[i].plan));
      ++written;
    }
  }
  return written;
}

}  // namespace lindos::cli
