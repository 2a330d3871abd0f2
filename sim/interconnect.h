// SPDX-License-Identifier: Apache-2.0
// The path between the ranks of one group, for messages that no sample prices: bandwidth one way
// per device and start-up time. Every path is alpha + bytes/bandwidth; SimGrid charges the same two
// numbers.
#pragma once

#include <string>

#include "scenarios/hardware.h"
#include "scenarios/profile.h"
#include "scenarios/units.h"

namespace lindos::sim {

struct Interconnect {
  BytesPerSecond bandwidth{0};  // 0 = unknown
  Seconds alpha{0};             // start-up of one message
  std::string backend;          // of the collective samples to use; empty = any
  // Inside one host or scale-up domain, where collective samples are taken; they say nothing of paths beyond.
  bool sampled = true;
  // Of a ring without samples: share of the bandwidth, and start-up beyond alpha.
  double ring_share = 0.75;
  Seconds ring_start{12e-6};
  [[nodiscard]] Seconds transfer(Bytes message) const { return alpha + message / bandwidth; }
  bool operator==(const Interconnect&) const = default;
};

// Between `first` and `last` device of a replica whose devices are numbered 0, 1, … along the
// nodes: NVLink inside one scale-up domain, the NIC beyond (modelling handbook §1.3: 10 us,
// unofficial), with the fabric's efficiency and hop latency. A host (no links in the catalogue)
// copies through memory, from the profile's send_recv samples where it has them.
[[nodiscard]] Interconnect interconnect_between(const Device& device, const Fabric& fabric,
                                                const Profile& profile, std::int64_t first,
                                                std::int64_t last);

// The slower of two paths: a collective goes at the pace of its slowest link.
[[nodiscard]] Interconnect slower(const Interconnect& a, const Interconnect& b);

// The line through the smallest and the largest of a profile's "send_recv" samples. Bandwidth 0
// when there are fewer than two sizes.
[[nodiscard]] Interconnect fit_send_recv(const Profile& profile);

// A rank of this device takes a share of the host's cores and of its memory bandwidth.
[[nodiscard]] bool is_host(const Device& device);

}  // namespace lindos::sim
