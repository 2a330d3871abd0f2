// SPDX-License-Identifier: Apache-2.0
#include "scenarios/made_for.h"

#include <nlohmann/json.hpp>

#include "scenarios/error.h"
#include "scenarios/json_reader.h"
#include "scenarios/plan_json.h"

namespace lindos {

std::string question_digest(const Scenario& scenario) {
  Scenario question = scenario;
  question.name.clear();
  question.description.clear();
  question.plan = {};
  question.plan_given = false;
  return digest(question);
}

std::string to_json(const Plan& plan, const Scenario& made_for) {
  // One more key before the brace that closes the file.
  std::string text = to_json(plan);
  text.resize(text.rfind('}'));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text + ",\n  \"made_for\": \"" + question_digest(made_for) + "\"\n}\n";
}

void check_made_for(std::string_view plan_file, const Scenario& scenario, const std::string& where) {
  const nlohmann::json document = parse_json(plan_file, where);
  const auto found = document.find("made_for");
  if (found == document.end()) return;
  const std::string own = question_digest(scenario);
  if (*found == own) return;
  throw Error(ErrorKind::kInput, where,
              "/made_for: the plan was made for another scenario than \"" + scenario.name + "\" (" + found->dump() +
                  ", this one is \"" + own + "\"); make a new one by lindos plan, or take \"made_for\" out of the file " +
                  "to use it all the same");
}

}  // namespace lindos
