// SPDX-License-Identifier: Apache-2.0
#include "exec/checkpoint/json_file.h"

#include <algorithm>
#include <unordered_set>
#include <vector>

#include <fmt/format.h>

#include "exec/checkpoint/mapped_file.h"
#include "scenarios/error.h"

namespace lindos::exec {
namespace {

constexpr std::size_t kMaxDepth = 64;

// "12:7" for a byte offset; columns count bytes, as compilers do.
std::string line_and_column(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, std::min(offset, text.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t line_start = before.rfind('\n');
  const std::size_t column =
      before.size() - (line_start == std::string_view::npos ? 0 : line_start + 1);
  return fmt::format("{}:{}", line, std::max<std::size_t>(column, 1));
}

// nlohmann's texts read "[json.exception.parse_error.101] parse error at …: syntax error …": the
// tail suffices.
std::string tail_of(std::string_view message) {
  const std::size_t colon = message.find(": ");
  return std::string(colon == std::string_view::npos ? message : message.substr(colon + 2));
}

}  // namespace

nlohmann::json parse_json_strictly(std::string_view text, const std::string& where) {
  using Json = nlohmann::json;
  std::vector<std::unordered_set<std::string>> keys;  // of the objects that are open
  std::size_t depth = 0;
  const auto on_event = [&](int, Json::parse_event_t event, Json& value) {
    switch (event) {
      case Json::parse_event_t::object_start:
        keys.emplace_back();
        [[fallthrough]];
      case Json::parse_event_t::array_start:
        if (++depth > kMaxDepth) {
          throw Error(ErrorKind::kInput, where,
                      fmt::format("nested deeper than {} levels", kMaxDepth));
        }
        break;
      case Json::parse_event_t::object_end:
        keys.pop_back();
        [[fallthrough]];
      case Json::parse_event_t::array_end:
        --depth;
        break;
      case Json::parse_event_t::key:
        if (!keys.back().insert(value.get<std::string>()).second) {
          throw Error(ErrorKind::kInput, where,
                      fmt::format("key {} occurs twice in one object", value.dump()));
        }
        break;
      case Json::parse_event_t::value:
        break;
    }
    return true;
  };
  try {
    return Json::parse(text.begin(), text.end(), on_event);
  } catch (const Json::parse_error& error) {
    throw Error(ErrorKind::kInput, where + ":" + line_and_column(text, error.byte),
                tail_of(error.what()));
  } catch (const Json::out_of_range& error) {  // a number beyond the range of double
    throw Error(ErrorKind::kInput, where, tail_of(error.what()));
  }
}

std::string read_text_file(const std::filesystem::path& file, std::size_t limit) {
  const MappedFile mapped(file);
  const auto bytes = mapped.bytes();
  if (bytes.size() > limit) {
    throw Error(ErrorKind::kInput, file.string(),
                fmt::format("has {} bytes; the limit is {}", bytes.size(), limit));
  }
  return bytes.empty() ? std::string()
                       : std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

}  // namespace lindos::exec
