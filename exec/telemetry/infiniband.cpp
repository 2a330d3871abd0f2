// SPDX-License-Identifier: Apache-2.0
#include "exec/telemetry/infiniband.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <string_view>
#include <system_error>

#include "scenarios/error.h"

namespace lindos::exec {

namespace {

constexpr std::string_view kSent = "port_xmit_data";
constexpr std::string_view kReceived = "port_rcv_data";
constexpr double kBytesPerUnit = 4.0;   // of the two above, by the InfiniBand specification

constexpr std::array<std::string_view, 13> kCounters = {
    kSent, kReceived, "port_xmit_packets", "port_rcv_packets", "port_xmit_wait", "port_xmit_discards",
    "port_rcv_errors", "symbol_error", "link_error_recovery", "link_downed", "local_link_integrity_errors",
    "excessive_buffer_overrun_errors", "VL15_dropped"};
constexpr std::array<std::string_view, 8> kHardwareCounters = {
    "out_of_sequence", "packet_seq_err", "local_ack_timeout_err", "rnr_nak_retry_err",
    "np_cnp_sent", "rp_cnp_handled", "np_ecn_marked_roce_packets", "roce_slow_restart"};

using Text = std::variant<std::string, Unavailable>;

// The first line of a sysfs file, which has one value and one page at most.
Text read_line(const std::filesystem::path& path) {
  std::error_code ec;
  if (!std::filesystem::exists(path, ec)) return Unavailable{"not offered by this driver"};
  std::ifstream in(path);
  std::string line;
  if (!std::getline(in, line)) return Unavailable{"cannot be read"};
  while (!line.empty() && (line.back() == ' ' || line.back() == '\r')) line.pop_back();
  return line;
}

// "4: ACTIVE" → "ACTIVE".
std::string after_number(const std::string& text) {
  const std::size_t colon = text.find(": ");
  return colon == std::string::npos ? text : text.substr(colon + 2);
}

// "400 Gb/sec (4X NDR)" → 50e9 B/s.
std::optional<BytesPerSecond> rate_of(const std::string& text) {
  double gigabits = 0.0;
  const char* last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, gigabits);
  const std::string_view rest(end, static_cast<std::size_t>(last - end));
  if (error != std::errc{} || !(gigabits > 0.0) || rest.substr(0, 7) != " Gb/sec") return std::nullopt;
  return BytesPerSecond{gigabits * 1e9 / 8.0};
}

std::string saw(const std::string& text) { return "says \"" + text + "\""; }

void read_counter(InfinibandPort& port, const std::filesystem::path& folder, std::string_view name) {
  const std::string key(name);
  Text text = read_line(folder / key);
  if (const auto* absent = std::get_if<Unavailable>(&text)) {
    port.unavailable[key] = absent->reason;
    return;
  }
  const auto& line = std::get<std::string>(text);
  std::uint64_t value = 0;
  const char* last = line.data() + line.size();
  const auto [end, error] = std::from_chars(line.data(), last, value);
  if (error != std::errc{} || end != last) {
    port.unavailable[key] = saw(line);
    return;
  }
  port.counters[key] = value;
}

InfinibandPort read_port(const std::filesystem::path& folder, const std::string& device, int number) {
  InfinibandPort port;
  port.device = device;
  port.port = number;
  const auto text_of = [&](const char* name) {
    Text text = read_line(folder / name);
    if (const auto* absent = std::get_if<Unavailable>(&text)) {
      port.unavailable[name] = absent->reason;
      return std::string();
    }
    return std::get<std::string>(std::move(text));
  };
  port.state = after_number(text_of("state"));
  port.physical_state = after_number(text_of("phys_state"));
  port.link_layer = text_of("link_layer");
  port.rate_text = text_of("rate");
  port.rate = rate_of(port.rate_text);
  if (!port.rate && port.unavailable.count("rate") == 0) port.unavailable["rate"] = saw(port.rate_text);
  for (std::string_view name : kCounters) read_counter(port, folder / "counters", name);
  for (std::string_view name : kHardwareCounters) read_counter(port, folder / "hw_counters", name);
  return port;
}

// Names of the entries, sorted; empty when the folder cannot be read.
std::vector<std::string> entries(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  std::error_code ec;
  for (std::filesystem::directory_iterator it(folder, ec), end; !ec && it != end; it.increment(ec)) {
    names.push_back(it->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

std::variant<std::vector<InfinibandPort>, Unavailable> read_infiniband(const std::filesystem::path& root) {
  std::error_code ec;
  if (!std::filesystem::is_directory(root, ec)) return Unavailable{root.string() + ": not there; no InfiniBand driver"};
  std::vector<InfinibandPort> ports;
  for (const std::string& device : entries(root)) {
    const std::filesystem::path folder = root / device / "ports";
    for (const std::string& name : entries(folder)) {
      int number = 0;
      const char* last = name.data() + name.size();
      const auto [end, error] = std::from_chars(name.data(), last, number);
      if (error == std::errc{} && end == last) ports.push_back(read_port(folder / name, device, number));
    }
  }
  if (ports.empty()) return Unavailable{root.string() + ": has no port"};
  std::sort(ports.begin(), ports.end(), [](const InfinibandPort& a, const InfinibandPort& b) {
    return a.device != b.device ? a.device < b.device : a.port < b.port;
  });
  return ports;
}

InfinibandTraffic traffic_between(const InfinibandPort& before, const InfinibandPort& after) {
  LINDOS_ASSERT(before.device == after.device && before.port == after.port, "traffic is of one port");
  InfinibandTraffic traffic;
  traffic.unavailable = after.unavailable;
  for (const auto& [name, now] : after.counters) {
    const auto was = before.counters.find(name);
    if (was == before.counters.end()) {
      const auto reason = before.unavailable.find(name);
      traffic.unavailable[name] = reason != before.unavailable.end() ? reason->second : "not in the first reading";
    } else if (now < was->second) {
      traffic.unavailable[name] = "was reset: " + std::to_string(was->second) + " → " + std::to_string(now);
    } else if (name == kSent) {
      traffic.sent = Bytes{static_cast<double>(now - was->second) * kBytesPerUnit};
    } else if (name == kReceived) {
      traffic.received = Bytes{static_cast<double>(now - was->second) * kBytesPerUnit};
    } else {
      traffic.counters[name] = now - was->second;
    }
  }
  return traffic;
}

}  // namespace lindos::exec
