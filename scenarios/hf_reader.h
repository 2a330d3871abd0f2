// SPDX-License-Identifier: Apache-2.0
// Reads one object of a foreign JSON file: keys may be absent or null and unknown ones are the caller's to
// report; what is there must have the right type and size. Complaints name "file: /json/pointer".
// Values are borrowed: the parsed document must outlive its readers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "scenarios/error.h"
#include "scenarios/json_reader.h"

namespace lindos {

// A short form of a value for "saw …".
[[nodiscard]] inline std::string shown(const nlohmann::json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "an array";
  const std::string text = value.dump(-1, ' ', true);
  constexpr std::size_t kLongest = 60;
  return text.size() > kLongest ? text.substr(0, kLongest) + "…" : text;
}

// An object of the file. A key that is null counts as absent, as Hugging Face writes defaults so.
class HfReader {
 public:
  HfReader(const nlohmann::json& object, std::string pointer, const std::string& where)
      : object_(object), pointer_(std::move(pointer)), where_(where) {}

  [[noreturn]] void fail(const std::string& key, const std::string& message) const {
    throw Error(ErrorKind::kInput, where_ + ": " + pointer_ + "/" + key, message);
  }
  [[nodiscard]] const nlohmann::json* find(const std::string& key) {
    known_.push_back(key);
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  [[nodiscard]] std::int64_t integer(const std::string& key, std::int64_t low, std::int64_t high) {
    const nlohmann::json* value = find(key);
    if (value == nullptr) missing(key);
    return checked(*value, key, low, high);
  }
  [[nodiscard]] std::int64_t integer(const std::string& key, std::int64_t low, std::int64_t high,
                                     std::int64_t otherwise) {
    const nlohmann::json* value = find(key);
    return value == nullptr ? otherwise : checked(*value, key, low, high);
  }
  [[nodiscard]] int small(const std::string& key, std::int64_t low, std::int64_t high) {
    return static_cast<int>(integer(key, low, high));
  }
  [[nodiscard]] int small(const std::string& key, std::int64_t low, std::int64_t high,
                          int otherwise) {
    return static_cast<int>(integer(key, low, high, otherwise));
  }
  [[nodiscard]] double number(const std::string& key, double low, double high,
                              std::optional<double> otherwise = std::nullopt) {
    const nlohmann::json* value = find(key);
    if (value == nullptr) {
      if (!otherwise) missing(key);
      return *otherwise;
    }
    if (!value->is_number()) fail(key, "expected a number, saw " + shown(*value));
    const double result = value->get<double>();
    if (!(result >= low && result <= high)) {
      fail(key, "expected a number from " + nlohmann::json(low).dump() + " to " + nlohmann::json(high).dump() +
                    ", saw " + shown(*value));
    }
    return result;
  }
  [[nodiscard]] bool flag(const std::string& key, bool otherwise = false) {
    const nlohmann::json* value = find(key);
    if (value == nullptr) return otherwise;
    if (!value->is_boolean()) fail(key, "expected true or false, saw " + shown(*value));
    return value->get<bool>();
  }
  [[nodiscard]] std::optional<std::string> text(const std::string& key) {
    const nlohmann::json* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_string()) fail(key, "expected a string, saw " + shown(*value));
    return value->get<std::string>();
  }
  [[nodiscard]] std::int64_t checked(const nlohmann::json& value, const std::string& key, std::int64_t low,
                                     std::int64_t high) const {
    const auto range = [&] {
      return " from " + std::to_string(low) + " to " + std::to_string(high) + ", saw " +
             shown(value);
    };
    if (!value.is_number_integer()) fail(key, "expected an integer" + range());
    const bool beyond = value.is_number_unsigned() &&
                        value.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX);
    if (beyond || value.get<std::int64_t>() < low || value.get<std::int64_t>() > high) {
      fail(key, "expected an integer" + range());
    }
    return value.get<std::int64_t>();
  }
  [[nodiscard]] const std::vector<std::string>& known() const { return known_; }
  [[nodiscard]] const std::string& where() const { return where_; }

 private:
  [[noreturn]] void missing(const std::string& key) const {
    std::vector<std::string> present;
    for (const auto& [name, unused] : object_.items()) present.push_back(name);
    fail(key, "missing" + did_you_mean(key, present));
  }

  const nlohmann::json& object_;
  std::string pointer_;
  const std::string& where_;
  std::vector<std::string> known_;
};

}  // namespace lindos
