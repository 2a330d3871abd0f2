// SPDX-License-Identifier: Apache-2.0
// One object of tokenizer.json together with its place in the file, so that each complaint names
// both. A view: the JSON document must outlive it.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace lindos::exec {

class Component {
 public:
  // `place` reads "tokenizer.json: /decoder".
  Component(const nlohmann::json& json, std::string place, int depth = 0);

  [[nodiscard]] const std::string& place() const { return place_; }
  [[nodiscard]] std::string place_of(std::string_view key) const {
    return place_ + "/" + std::string(key);
  }
  [[nodiscard]] std::string type() const { return text("type"); }
  // Null counts as absent, as in the files that exist.
  [[nodiscard]] const nlohmann::json* find(std::string_view key) const;
  [[nodiscard]] Component child(std::string_view key) const;
  [[nodiscard]] std::vector<Component> children(std::string_view key) const;
  [[nodiscard]] std::string text(std::string_view key) const;
  [[nodiscard]] bool flag_or(std::string_view key, bool otherwise) const;
  [[nodiscard]] std::int64_t integer(std::string_view key) const;  // 0 … 2^31 − 1

  [[noreturn]] void fail(std::string_view key, const std::string& message) const;
  // "unknown kind "X"; known: …".
  [[noreturn]] void fail_unknown(std::string_view key, std::string_view saw,
                                 std::initializer_list<std::string_view> known) const;

 private:
  const nlohmann::json* json_;
  std::string place_;
  int depth_;  // Sequences inside Sequences
};

}  // namespace lindos::exec
