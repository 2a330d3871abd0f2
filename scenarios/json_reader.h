// SPDX-License-Identifier: Apache-2.0
// Strict reading of our own JSON files: every key is asked for once, a missing, surplus, doubled or
// mistyped one is an Error{kInput} that names "file: /json/pointer" and the nearest spelling.
// Values are borrowed: the parsed document must outlive its JsonObjects.
//
//   const nlohmann::json document = parse_json(text, where);
//   JsonObject root(document, "", where);
//   plan.name = root.text("name");
//   root.finish();
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace lindos {

// Throws Error{kInput} with file:line:column for bad syntax, for a key that stands twice in one
// object and for more than 64 levels of nesting.
[[nodiscard]] nlohmann::json parse_json(std::string_view text, const std::string& where);

class JsonObject {
 public:
  // `pointer` is the JSON pointer of `value`, "" for the root. Throws when `value` is not an
  // object.
  JsonObject(const nlohmann::json& value, std::string pointer, std::string where);

  // Each asks for a required key.
  [[nodiscard]] std::string text(const std::string& key);
  // Finite; within [low, high].
  [[nodiscard]] double number(const std::string& key,
                              double low = std::numeric_limits<double>::lowest(),
                              double high = std::numeric_limits<double>::max());
  [[nodiscard]] std::int64_t integer(const std::string& key, std::int64_t low,
                                     std::int64_t high = std::numeric_limits<std::int64_t>::max());
  [[nodiscard]] std::uint64_t unsigned_integer(const std::string& key);
  [[nodiscard]] bool boolean(const std::string& key);
  [[nodiscard]] JsonObject object(const std::string& key);
  [[nodiscard]] std::vector<JsonObject> objects(const std::string& key);
  [[nodiscard]] std::vector<double> numbers(const std::string& key, double low);
  // Checks "format" and "version", the first two keys of every file of ours.
  void format(const std::string& name, std::int64_t oldest, std::int64_t newest);

  [[nodiscard]] bool has(const std::string& key) const { return value_->contains(key); }
  // As has(), and `key` is known from here on: it may be absent without being a spelling of nothing.
  [[nodiscard]] bool optional(const std::string& key);
  // All keys, for objects whose keys are data; marks them as known.
  [[nodiscard]] std::vector<std::string> keys();

  // Complains about keys that were not asked for.
  void finish() const;

  // Throws Error{kInput} at /pointer/key ("" = the object itself).
  [[noreturn]] void fail(const std::string& key, const std::string& message) const;

 private:
  const nlohmann::json& require(const std::string& key);

  const nlohmann::json* value_;
  std::string pointer_;
  std::string where_;
  std::vector<std::string> known_;
};

// ` (did you mean "x"?)` for the nearest of `candidates`, or "".
[[nodiscard]] std::string did_you_mean(std::string_view word,
                                       const std::vector<std::string>& candidates);

}  // namespace lindos
