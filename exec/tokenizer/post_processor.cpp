// SPDX-License-Identifier: Apache-2.0
#include "exec/tokenizer/post_processor.h"

#include <limits>
#include <utility>

namespace lindos::exec {

PostProcessor::PostProcessor(const Component& component) { add(component); }

void PostProcessor::add(const Component& component) {
  const std::string type = component.type();
  if (type == "Sequence") {
    for (const Component& child : component.children("processors")) add(child);
  } else if (type == "TemplateProcessing") {
    if (has_template_) component.fail("type", "a second template is not supported");
    has_template_ = true;
    add_template(component);
  } else if (type != "ByteLevel") {
    component.fail_unknown("type", type, {"Sequence", "TemplateProcessing", "ByteLevel"});
  }
}

void PostProcessor::add_template(const Component& component) {
  bool seen_sequence = false;
  for (const Component& part : component.children("single")) {
    if (part.find("Sequence") != nullptr) {
      if (part.child("Sequence").text("id") != "A" || seen_sequence) {
        part.fail("Sequence", "expected the sequence \"A\" exactly once");
      }
      seen_sequence = true;
      continue;
    }
    const std::string name = part.child("SpecialToken").text("id");
    const Component token = component.child("special_tokens").child(name);
    const nlohmann::json* ids = token.find("ids");
    if (ids == nullptr || !ids->is_array()) token.fail("ids", "expected a list of ids");
    for (const nlohmann::json& id : *ids) {
      constexpr std::uint64_t kLargest = std::numeric_limits<std::int32_t>::max();
      if (!id.is_number_unsigned() || id.get<std::uint64_t>() > kLargest)
        token.fail("ids", "expected a list of ids");
      (seen_sequence ? after_ : before_).push_back(id.get<std::int32_t>());
    }
  }
  if (!seen_sequence) component.fail("single", "expected the sequence \"A\" exactly once");
}

std::vector<std::int32_t> PostProcessor::surround(std::vector<std::int32_t> ids) const {
  ids.insert(ids.begin(), before_.begin(), before_.end());
  ids.insert(ids.end(), after_.begin(), after_.end());
  return ids;
}

}  // namespace lindos::exec
