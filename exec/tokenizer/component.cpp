// SPDX-License-Identifier: Apache-2.0
#include "exec/tokenizer/component.h"

#include <limits>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "scenarios/error.h"

namespace lindos::exec {
namespace {
constexpr int kMaxDepth = 16;
}

Component::Component(const nlohmann::json& json, std::string place, int depth)
    : json_(&json), place_(std::move(place)), depth_(depth) {
  if (!json.is_object()) {
    throw Error(ErrorKind::kInput, place_,
                fmt::format("expected an object, saw {}", json.type_name()));
  }
  if (depth > kMaxDepth)
    throw Error(ErrorKind::kInput, place_, fmt::format("nested deeper than {}", kMaxDepth));
}

const nlohmann::json* Component::find(std::string_view key) const {
  const auto found = json_->find(key);
  return found == json_->end() || found->is_null() ? nullptr : &*found;
}

Component Component::child(std::string_view key) const {
  const nlohmann::json* value = find(key);
  if (value == nullptr) fail(key, "expected an object, saw nothing");
  return {*value, place_of(key), depth_ + 1};
}

std::vector<Component> Component::children(std::string_view key) const {
  const nlohmann::json* value = find(key);
  if (value == nullptr || !value->is_array()) fail(key, "expected a list");
  std::vector<Component> all;
  for (std::size_t i = 0; i < value->size(); ++i) {
    all.emplace_back((*value)[i], fmt::format("{}/{}", place_of(key), i), depth_ + 1);
  }
  return all;
}

std::string Component::text(std::string_view key) const {
  const nlohmann::json* value = find(key);
  if (value == nullptr || !value->is_string()) {
    fail(key,
         fmt::format("expected text, saw {}", value == nullptr ? "nothing" : value->type_name()));
  }
  return value->get<std::string>();
}

bool Component::flag_or(std::string_view key, bool otherwise) const {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean())
    fail(key, fmt::format("expected true or false, saw {}", value->type_name()));
  return value->get<bool>();
}

std::int64_t Component::integer(std::string_view key) const {
  constexpr std::uint64_t kLargest = std::numeric_limits<std::int32_t>::max();
  const nlohmann::json* value = find(key);
  if (value == nullptr || !value->is_number_unsigned() || value->get<std::uint64_t>() > kLargest) {
    fail(key, fmt::format("expected an integer from 0 to {}", kLargest));
  }
  return value->get<std::int64_t>();
}

void Component::fail(std::string_view key, const std::string& message) const {
  throw Error(ErrorKind::kInput, place_of(key), message);
}

void Component::fail_unknown(std::string_view key, std::string_view saw,
                             std::initializer_list<std::string_view> known) const {
  fail(key,
       fmt::format("unknown kind \"{}\"; known: {}", saw.substr(0, 80), fmt::join(known, ", ")));
}

}  // namespace lindos::exec
