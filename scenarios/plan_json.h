// SPDX-License-Identifier: Apache-2.0
// Plan ↔ JSON ("format": "lindos-plan", "version": 1) and its validation against a model.
#pragma once

#include <string>
#include <string_view>

#include "scenarios/model.h"
#include "scenarios/plan.h"

namespace lindos {

[[nodiscard]] std::string to_json(const Plan& plan);
// Throws Error{kInput} with the JSON pointer of the offending value; unknown keys name the nearest one.
[[nodiscard]] Plan plan_from_json(std::string_view text, const std::string& where);
// Ranges partition heads, FFN, vocabulary, experts and layers; KV heads cover the q heads; degrees and limits
// are sane. Throws Error{kInput} naming group, stage and rank.
void validate_plan(const Plan& plan, const Model& model, const std::string& where);

}  // namespace lindos
