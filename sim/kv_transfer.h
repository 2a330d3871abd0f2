// SPDX-License-Identifier: Apache-2.0
// KV of a prompt on its way from the replica that computed it to the one that decodes: over the scale-out network, each
// pair of ranks its part, when the whole prompt is computed. What a layer-wise transfer hides is not modelled, nor that
// the sender keeps its blocks until the transfer ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "scenarios/hardware.h"
#include "scenarios/timeline.h"
#include "scenarios/units.h"
#include "scenarios/workload.h"
#include "sim/fleet.h"
#include "sim/platform.h"

namespace lindos::sim {

// From a replica of one group to one of another: alpha + bytes / bandwidth where nobody else sends.
struct KvPath {
  Bytes bytes_per_token{0};   // as the receiver holds it, all ranks
  BytesPerSecond bandwidth{0};  // of all pairs of ranks together
  Seconds alpha{0};
  int pairs = 1;              // of ranks that send to each other
  [[nodiscard]] Seconds time(std::int64_t tokens) const {
    return alpha + bytes_per_token * static_cast<double>(tokens) / bandwidth;
  }
};
[[nodiscard]] KvPath kv_path(const ServingGroup& from, const ServingGroup& to);

// What the decoding replica is asked: the prompt and its first token, whose KV but the last comes along.
[[nodiscard]] RequestSpec rest_of(const RequestSpec& asked, Seconds kv_arrival);
// From the timeline of that to the whole request's, whose first token another replica sampled.
void join(RequestTimeline& rest, const RequestSpec& asked, Seconds first_token);

struct KvTransfer {
  std::size_t from = 0, to = 0;  // replicas
  std::int64_t tokens = 0;
  Seconds ready{0};              // first token sampled
  Seconds arrived{0};
};

// Sets `arrived` of transfers between replicas, given as group of each, by SimGrid flows: a sender sends one prompt at
// a time in order of `ready`; flows share NICs and oversubscribed leaves. The replicas' devices lie one behind the
// other, each replica from the start of a node. In a child process; throws as run_isolated.
void time_transfers(const std::vector<ServingGroup>& groups, const std::vector<std::size_t>& group_of,
                    const Fabric& fabric, std::vector<KvTransfer>& transfers,
                    const std::function<bool()>& cancelled);

}  // namespace lindos::sim
