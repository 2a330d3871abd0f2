// SPDX-License-Identifier: Apache-2.0
// State and counters of InfiniBand and RoCE ports from sysfs, and what passed between two readings. A file that
// a driver does not offer, or that says "N/A (no PMA)", is absent with its reason: never a zero.
//
//   auto before = read_infiniband();  run();  auto after = read_infiniband();
//   InfinibandTraffic traffic = traffic_between(port_before, port_after);
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "exec/runner/dynamic_library.h"
#include "exec/telemetry/device_reading.h"
#include "scenarios/units.h"

namespace lindos::exec {

// One port at one instant. Counters are as the kernel states them since they were last reset: port_*_data in
// units of 4 bytes, port_xmit_wait in ticks of the device (no time), all others in packets or events.
struct InfinibandPort {
  std::string device;                          // "mlx5_0"
  int port = 0;
  std::string state;                           // "ACTIVE"; empty when unavailable, as the three below
  std::string physical_state;                  // "LinkUp"
  std::string link_layer;                      // "InfiniBand", "Ethernet"
  std::string rate_text;                       // "400 Gb/sec (4X NDR)"
  std::optional<BytesPerSecond> rate;
  std::map<std::string, std::uint64_t> counters;   // by file name, those of counters/ and hw_counters/ together
  Absences unavailable;                        // by file name
  bool operator==(const InfinibandPort&) const = default;
};

// All ports in order of device and number. Unavailable: the machine has no such device, or no such driver.
// `root` stands for the sysfs folder in tests.
[[nodiscard]] std::variant<std::vector<InfinibandPort>, Unavailable> read_infiniband(
    const std::filesystem::path& root = "/sys/class/infiniband");

struct InfinibandTraffic {
  std::optional<Bytes> sent;
  std::optional<Bytes> received;
  std::map<std::string, std::uint64_t> counters;   // the other counters, by how much they grew
  // By file name; a counter that fell was reset, and its later reading is the base of what comes.
  Absences unavailable;
  bool operator==(const InfinibandTraffic&) const = default;
};

// REQUIRES: both are readings of the same port, `before` first.
[[nodiscard]] InfinibandTraffic traffic_between(const InfinibandPort& before, const InfinibandPort& after);

}  // namespace lindos::exec
