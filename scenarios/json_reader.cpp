// SPDX-License-Identifier: Apache-2.0
#include "scenarios/json_reader.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "scenarios/error.h"
#include "scenarios/quantity_text.h"

namespace lindos {
namespace {

// Deep enough for any file of ours; bounds the recursion of printing a value in a complaint.
constexpr std::size_t kMaximumDepth = 64;

// "file:line:column" of a byte offset.
std::string position(std::string_view text, std::size_t offset, const std::string& where) {
  const std::string_view before = text.substr(0, std::min(offset, text.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t line_start = before.rfind('\n');  // npos + 1 == 0 on the first line
  const std::size_t column = before.size() - (line_start + 1) + 1;
  return where + ":" + std::to_string(line) + ":" + std::to_string(column);
}

// The library's message without its own identifiers and position.
std::string reason_of(const nlohmann::json::parse_error& error) {
  const std::string_view message = error.what();
  const std::size_t start = message.find(": syntax error ");
  return std::string(start == std::string_view::npos ? message : message.substr(start + 2));
}

std::string escaped(const std::string& key) {
  std::string out;
  for (const char c : key) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

// A short form of a value for "saw …".
std::string shown(const nlohmann::json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "an array of " + std::to_string(value.size());
  constexpr std::size_t kLongest = 60;
  std::string text = value.dump(-1, ' ', true);
  if (text.size() > kLongest) text = text.substr(0, kLongest) + "…";
  return text;
}

std::string number_text(double value) { return nlohmann::json(value).dump(); }

// Shared by number() and numbers().
double checked_number(const nlohmann::json& value, double low, double high,
                      const JsonObject& object, const std::string& key) {
  if (!value.is_number()) object.fail(key, "expected a number, saw " + shown(value));
  const double number = value.get<double>();
  if (number < low) {
    object.fail(key, "expected at least " + number_text(low) + ", saw " + shown(value));
  }
  if (number > high) {
    object.fail(key, "expected at most " + number_text(high) + ", saw " + shown(value));
  }
  return number;
}

// Throws at a key that stands twice in its object and at too deep a nesting.
class KeyWatch : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit KeyWatch(const std::string& where) : where_(where) {}
  bool null() override { return true; }
  bool boolean(bool /*value*/) override { return true; }
  bool number_integer(number_integer_t /*value*/) override { return true; }
  bool number_unsigned(number_unsigned_t /*value*/) override { return true; }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override { return true; }
  bool string(string_t& /*value*/) override { return true; }
  bool binary(binary_t& /*value*/) override { return true; }
  bool start_object(std::size_t /*elements*/) override {
    deeper();
    open_objects_.emplace_back();
    return true;
  }
  bool key(string_t& value) override {
    if (!open_objects_.back().insert(value).second)
      throw Error(ErrorKind::kInput, where_, "the key \"" + value + "\" stands twice in one object");
    return true;
  }
  bool end_object() override {
    open_objects_.pop_back();
    --depth_;
    return true;
  }
  bool start_array(std::size_t /*elements*/) override {
    deeper();
    return true;
  }
  bool end_array() override {
    --depth_;
    return true;
  }
  bool parse_error(std::size_t /*position*/, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*error*/) override {
    return false;
  }

 private:
  void deeper() {
    if (depth_ >= kMaximumDepth)
      throw Error(ErrorKind::kInput, where_, "nested deeper than " + std::to_string(kMaximumDepth) + " levels");
    ++depth_;
  }
  const std::string& where_;
  std::size_t depth_ = 0;
  std::vector<std::set<std::string>> open_objects_;
};

}  // namespace

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
  const auto nearest = nearest_spelling(word, candidates.data(), candidates.size());
  return nearest ? " (did you mean \"" + *nearest + "\"?)" : "";
}

nlohmann::json parse_json(std::string_view text, const std::string& where) {
  // A pass of its own: nlohmann's parser with a callback takes the square of an array's length.
  KeyWatch watch(where);
  nlohmann::json::sax_parse(text.begin(), text.end(), &watch);  // what is no JSON the second pass complains of
  try {
    return nlohmann::json::parse(text.begin(), text.end());
  } catch (const nlohmann::json::parse_error& error) {
    const std::size_t offset = error.byte > 0 ? error.byte - 1 : 0;
    throw Error(ErrorKind::kInput, position(text, offset, where), "not JSON: " + reason_of(error));
  } catch (const nlohmann::json::exception& error) {  // a number beyond the range of a double
    throw Error(ErrorKind::kInput, where, error.what());
  }
}

JsonObject::JsonObject(const nlohmann::json& value, std::string pointer, std::string where)
    : value_(&value), pointer_(std::move(pointer)), where_(std::move(where)) {
  if (!value.is_object()) fail("", "expected an object, saw " + shown(value));
}

void JsonObject::fail(const std::string& key, const std::string& message) const {
  std::string pointer = pointer_;
  if (!key.empty()) pointer += "/" + escaped(key);
  if (pointer.empty()) throw Error(ErrorKind::kInput, where_, message);
  throw Error(ErrorKind::kInput, where_ + ": " + pointer, message);
}

const nlohmann::json& JsonObject::require(const std::string& key) {
  known_.push_back(key);
  const auto found = value_->find(key);
  if (found != value_->end()) return *found;
  std::vector<std::string> others;
  for (const auto& [name, unused] : value_->items()) {
    if (std::find(known_.begin(), known_.end(), name) == known_.end()) others.push_back(name);
  }
  const auto nearest = nearest_spelling(key, others.data(), others.size());
  fail("", "missing key \"" + key + "\"" +
               (nearest ? "; \"" + *nearest + "\" is unknown and looks like it" : ""));
}

std::string JsonObject::text(const std::string& key) {
  const nlohmann::json& value = require(key);
  if (!value.is_string()) fail(key, "expected a string, saw " + shown(value));
  return value.get<std::string>();
}

double JsonObject::number(const std::string& key, double low, double high) {
  return checked_number(require(key), low, high, *this, key);
}

std::int64_t JsonObject::integer(const std::string& key, std::int64_t low, std::int64_t high) {
  const nlohmann::json& value = require(key);
  if (!value.is_number_integer()) fail(key, "expected an integer, saw " + shown(value));
  const bool too_large = value.is_number_unsigned() &&
                         value.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX);
  if (too_large || value.get<std::int64_t>() > high) {
    fail(key, "expected at most " + std::to_string(high) + ", saw " + shown(value));
  }
  if (value.get<std::int64_t>() < low) {
    fail(key, "expected at least " + std::to_string(low) + ", saw " + shown(value));
  }
  return value.get<std::int64_t>();
}

std::uint64_t JsonObject::unsigned_integer(const std::string& key) {
  const nlohmann::json& value = require(key);
  if (!value.is_number_unsigned()) {
    fail(key, "expected an integer from 0 to 2^64 - 1, saw " + shown(value));
  }
  return value.get<std::uint64_t>();
}

bool JsonObject::boolean(const std::string& key) {
  const nlohmann::json& value = require(key);
  if (!value.is_boolean()) fail(key, "expected true or false, saw " + shown(value));
  return value.get<bool>();
}

bool JsonObject::optional(const std::string& key) {
  known_.push_back(key);
  return value_->contains(key);
}

JsonObject JsonObject::object(const std::string& key) {
  return {require(key), pointer_ + "/" + escaped(key), where_};
}

std::vector<JsonObject> JsonObject::objects(const std::string& key) {
  const nlohmann::json& value = require(key);
  if (!value.is_array()) fail(key, "expected an array of objects, saw " + shown(value));
  std::vector<JsonObject> out;
  out.reserve(value.size());
  for (std::size_t i = 0; i < value.size(); ++i) {
    out.emplace_back(value[i], pointer_ + "/" + escaped(key) + "/" + std::to_string(i), where_);
  }
  return out;
}

std::vector<double> JsonObject::numbers(const std::string& key, double low) {
  const nlohmann::json& value = require(key);
  if (!value.is_array()) fail(key, "expected an array of numbers, saw " + shown(value));
  std::vector<double> out;
  out.reserve(value.size());
  for (const nlohmann::json& element : value) {
    out.push_back(checked_number(element, low, std::numeric_limits<double>::max(), *this, key));
  }
  return out;
}

void JsonObject::format(const std::string& name, std::int64_t oldest, std::int64_t newest) {
  const std::string seen = text("format");
  if (seen != name) fail("format", "expected \"" + name + "\", saw \"" + seen + "\"");
  const std::int64_t version = integer("version", 1);
  if (version < oldest || version > newest) {
    const std::string since = oldest < newest ? std::to_string(oldest) + " to " : "";
    fail("version", "this build reads version " + since + std::to_string(newest) + ", saw " +
                        std::to_string(version));
  }
}

std::vector<std::string> JsonObject::keys() {
  std::vector<std::string> out;
  out.reserve(value_->size());
  for (const auto& [name, unused] : value_->items()) out.push_back(name);
  known_.insert(known_.end(), out.begin(), out.end());
  return out;
}

void JsonObject::finish() const {
  for (const auto& [name, unused] : value_->items()) {
    if (std::find(known_.begin(), known_.end(), name) == known_.end()) {
      fail(name, "unknown key" + did_you_mean(name, known_));
    }
  }
}

}  // namespace lindos
