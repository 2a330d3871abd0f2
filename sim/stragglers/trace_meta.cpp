// SPDX-License-Identifier: Apache-2.0
#include "sim/stragglers/trace_meta.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <map>
#include <system_error>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "scenarios/error.h"
#include "scenarios/quantity_text.h"

namespace lindos::sim {

namespace {

const std::array<std::string, 8> kKeys = {"trial_name", "run_id",  "dp_size",  "dsp_size",
                                          "pp_size",    "tp_size", "vpp_size", "world_size"};

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

}  // namespace

TraceDegrees parse_trace_meta(std::string_view text, const std::string& where) {
  std::map<std::string, int, std::less<>> sizes;
  std::int64_t number = 0;
  const auto fail = [&](const std::string& message) {
    throw Error(ErrorKind::kInput, fmt::format("{}:{}", where, number), message);
  };
  while (!text.empty()) {
    ++number;
    const std::size_t stop = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, std::min(stop, text.find('#'))));
    text.remove_prefix(std::min(stop + 1, text.size()));
    if (line.empty() || line == "---") continue;
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) fail("expected \"key: value\"");
    const std::string_view key = trimmed(line.substr(0, colon));
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (std::find(kKeys.begin(), kKeys.end(), key) == kKeys.end()) {
      const auto nearest = nearest_spelling(key, kKeys.data(), kKeys.size());
      fail(fmt::format("unknown key{}; known: {}",
                       nearest ? fmt::format(", did you mean \"{}\"?", *nearest) : "",
                       fmt::join(kKeys, ", ")));
    }
    if (!key.ends_with("_size")) continue;
    int size = 0;
    const auto [end, problem] = std::from_chars(value.data(), value.data() + value.size(), size);
    if (problem != std::errc() || end != value.data() + value.size() || size < 1) {
      fail(fmt::format("{}: expected a positive integer", key));
    }
    if (!sizes.emplace(key, size).second) fail(fmt::format("{} stands twice", key));
  }
  const auto size_of = [&](std::string_view key) {
    const auto found = sizes.find(key);
    return found == sizes.end() ? 1 : found->second;
  };
  TraceDegrees degrees;
  degrees.source = where;
  degrees.data = size_of("dp_size");
  degrees.pipeline = size_of("pp_size");
  degrees.virtual_stages = size_of("vpp_size");
  if (sizes.contains("world_size")) {
    // In floating point, which cannot overflow.
    const double product =
        1.0 * *degrees.data * size_of("dsp_size") * *degrees.pipeline * size_of("tp_size");
    if (product != size_of("world_size")) {
      throw Error(
          ErrorKind::kInput, where,
          fmt::format("world_size is {}, but dp_size · dsp_size · pp_size · tp_size is {:.0f}",
                      size_of("world_size"), product));
    }
  }
  return degrees;
}

std::optional<std::filesystem::path> find_trace_meta(const std::filesystem::path& trace) {
  constexpr std::string_view kTrace = "trace-";
  std::string name = trace.filename().string();
  if (!name.starts_with(kTrace)) return std::nullopt;
  for (const std::string_view ending : {".gz", ".csv"}) {
    if (name.ends_with(ending)) name.resize(name.size() - ending.size());
  }
  const std::filesystem::path meta =
      trace.parent_path() / ("meta-" + name.substr(kTrace.size()) + ".yaml");
  std::error_code ec;
  return std::filesystem::is_regular_file(meta, ec) ? std::optional(meta) : std::nullopt;
}

}  // namespace lindos::sim
