// SPDX-License-Identifier: Apache-2.0
#include "exec/tokenizer/normalizer.h"

#include <utility>

#include "exec/tokenizer/unicode.h"

namespace lindos::exec {

Pattern read_pattern(const Component& component, std::string_view key) {
  const Component pattern = component.child(key);
  if (pattern.find("String") != nullptr) return Pattern::literal(pattern.text("String"));
  return Pattern::regex(pattern.text("Regex"), pattern.place_of("Regex"));
}

Normalizer::Normalizer(const Component& component) { add(component); }

void Normalizer::add(const Component& component) {
  const std::string type = component.type();
  const auto add_form = [&](NormalForm form) {
    steps_.emplace_back([form](const std::string& text) { return normalise(text, form); });
  };
  if (type == "Sequence") {
    for (const Component& child : component.children("normalizers")) add(child);
  } else if (type == "NFC") {
    add_form(NormalForm::kNfc);
  } else if (type == "NFD") {
    add_form(NormalForm::kNfd);
  } else if (type == "NFKC") {
    add_form(NormalForm::kNfkc);
  } else if (type == "NFKD") {
    add_form(NormalForm::kNfkd);
  } else if (type == "Lowercase") {
    steps_.emplace_back([](const std::string& text) { return lowercase(text); });
  } else if (type == "Prepend") {
    steps_.emplace_back([prefix = component.text("prepend")](const std::string& text) {
      return text.empty() ? text : prefix + text;
    });
  } else if (type == "Replace") {
    steps_.emplace_back([pattern = read_pattern(component, "pattern"),
                         content = component.text("content")](const std::string& text) {
      return pattern.replace_all(text, content);
    });
  } else {
    component.fail_unknown(
        "type", type,
        {"Sequence", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Prepend", "Replace"});
  }
}

std::string Normalizer::apply(std::string text) const {
  for (const auto& step : steps_) text = step(std::move(text));
  return text;
}

}  // namespace lindos::exec
