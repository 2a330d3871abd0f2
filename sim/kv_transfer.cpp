// SPDX-License-Identifier: Apache-2.0
#include "sim/kv_transfer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <string>

#include <simgrid/s4u.hpp>

#include "scenarios/error.h"
#include "sim/interconnect.h"
#include "sim/isolated.h"

namespace lindos::sim {

namespace sg = simgrid::s4u;

namespace {

// Ranks that send side by side; those of a host share its memory.
int senders(const ServingGroup& group) {
  if (is_host(group.stage_devices.front().device)) return 1;
  return static_cast<int>(group.plan.ranks_per_replica());
}

// Where each replica's ranks lie in the platform.
struct Placement {
  std::vector<PlatformDevice> devices;
  std::vector<std::size_t> first;  // [replica], index into devices
};

Placement place(const std::vector<ServingGroup>& groups, const std::vector<std::size_t>& group_of) {
  Placement placement;
  std::int64_t node_start = 0;
  for (const std::size_t g : group_of) {
    const PlatformDevice& pattern = groups[g].stage_devices.front();
    const std::int64_t per_node = std::max(1, pattern.devices_per_node);
    const auto ranks = static_cast<std::int64_t>(groups[g].plan.ranks_per_replica());
    placement.first.push_back(placement.devices.size());
    for (std::int64_t r = 0; r < ranks; ++r) {
      PlatformDevice device = pattern;
      device.position = node_start + r;
      device.memory_copy = groups[g].outward.bandwidth;
      // KV leaves by the NICs even where both replicas share a scale-up domain, as on the max-plus rung.
      device.device.scale_up_bandwidth = is_host(device.device) ? device.device.scale_up_bandwidth : BytesPerSecond{0};
      placement.devices.push_back(std::move(device));
    }
    node_start += (ranks + per_node - 1) / per_node * per_node;
  }
  return placement;
}

// The arrivals of the transfers, in their order.
std::vector<double> arrivals(const std::vector<ServingGroup>& groups, const std::vector<std::size_t>& group_of,
                             const Fabric& fabric, const std::vector<KvTransfer>& transfers) {
  const Placement placement = place(groups, group_of);
  Platform platform(fabric, placement.devices);
  std::vector<std::vector<std::size_t>> queues(group_of.size());  // [sender], transfers in order of `ready`
  for (std::size_t t = 0; t < transfers.size(); ++t) queues[transfers[t].from].push_back(t);
  for (std::vector<std::size_t>& queue : queues) {
    std::sort(queue.begin(), queue.end(), [&](std::size_t a, std::size_t b) {
      return transfers[a].ready < transfers[b].ready || (transfers[a].ready == transfers[b].ready && a < b);
    });
  }
  const auto path_of = [&](const KvTransfer& t) { return kv_path(groups[group_of[t.from]], groups[group_of[t.to]]); };
  for (const KvTransfer& t : transfers) {
    for (int p = 0; p < path_of(t).pairs; ++p) {
      const auto rank = static_cast<std::size_t>(p);
      platform.connect(placement.first[t.from] + rank, placement.first[t.to] + rank);
    }
  }
  platform.seal();
  std::vector<double> arrived(transfers.size(), 0.0);
  for (std::size_t sender = 0; sender < queues.size(); ++sender) {
    if (queues[sender].empty()) continue;
    sg::Actor::create("sender-" + std::to_string(sender), platform.host(placement.first[sender]), [&, sender] {
      for (const std::size_t t : queues[sender]) {
        const KvTransfer& transfer = transfers[t];
        const KvPath path = path_of(transfer);
        const double each = (path.bytes_per_token * static_cast<double>(transfer.tokens)).value() / path.pairs;
        sg::this_actor::sleep_until(transfer.ready.count());
        sg::this_actor::sleep_for(path.alpha.count());
        std::vector<sg::CommPtr> flows;
        for (int p = 0; p < path.pairs; ++p) {
          const auto rank = static_cast<std::size_t>(p);
          flows.push_back(sg::Comm::sendto_async(platform.host(placement.first[transfer.from] + rank),
                                                 platform.host(placement.first[transfer.to] + rank),
                                                 static_cast<std::uint64_t>(std::llround(each))));
        }
        for (const sg::CommPtr& flow : flows) flow->wait();
        arrived[t] = sg::Engine::get_clock();
      }
    });
  }
  platform.run();
  return arrived;
}

}  // namespace

KvPath kv_path(const ServingGroup& from, const ServingGroup& to) {
  const Interconnect slowest = slower(from.outward, to.outward);
  KvPath path;
  path.bytes_per_token = to.kv_bytes_per_token;
  path.alpha = slowest.alpha;
  path.pairs = std::min(senders(from), senders(to));
  path.bandwidth = slowest.bandwidth * static_cast<double>(path.pairs);
  return path;
}

RequestSpec rest_of(const RequestSpec& asked, Seconds kv_arrival) {
  RequestSpec rest = asked;
  rest.arrival = kv_arrival;
  rest.prompt_tokens = asked.prompt_tokens + 1;
  rest.output_tokens = asked.output_tokens - 1;
  rest.kv_tokens = asked.prompt_tokens;
  return rest;
}

void join(RequestTimeline& rest, const RequestSpec& asked, Seconds first_token) {
  rest.arrival = asked.arrival;
  rest.prompt_tokens = asked.prompt_tokens;
  rest.token_times.insert(rest.token_times.begin(), first_token);
}

void time_transfers(const std::vector<ServingGroup>& groups, const std::vector<std::size_t>& group_of,
                    const Fabric& fabric, std::vector<KvTransfer>& transfers,
                    const std::function<bool()>& cancelled) {
  const std::string bytes = run_isolated(
      [&] {
        const std::vector<double> arrived = arrivals(groups, group_of, fabric, transfers);
        return std::string(reinterpret_cast<const char*>(arrived.data()), arrived.size() * sizeof(double));
      },
      cancelled);
  std::vector<double> arrived(transfers.size());
  if (bytes.size() != arrived.size() * sizeof(double))
    throw Error(ErrorKind::kEnvironment, "simgrid", "the child process answered in part");
  std::memcpy(arrived.data(), bytes.data(), bytes.size());
  for (std::size_t t = 0; t < transfers.size(); ++t) transfers[t].arrived = Seconds(arrived[t]);
}

}  // namespace lindos::sim
