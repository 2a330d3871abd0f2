// SPDX-License-Identifier: Apache-2.0
#include "sim/interconnect.h"

#include <algorithm>
#include <cstdint>

#include "sim/device_class.h"

namespace lindos::sim {

namespace {

// assume: half of the read bandwidth (a copy reads and writes) and a wake-up between threads.
constexpr double kCopyShareOfReadBandwidth = 0.5;
constexpr Seconds kThreadWakeUp{5e-6};
constexpr Seconds kScaleUpStart{
    3e-6};  // graph-launched one-shot kernels on Hopper: 2.6-3.1 us (handbook §2.2)
constexpr Seconds kScaleOutStart{10e-6};  // handbook §1.3, PP send (unofficial)
// Rings over NICs: 46-48 of 50 GB/s per port (nccl-tests issue 290; handbook §2.3).
constexpr double kScaleOutRing = 0.94;

}  // namespace

bool is_host(const Device& device) {
  return device.compute_capability == 0 && device.scale_up_bandwidth.value() <= 0.0;
}

Interconnect slower(const Interconnect& a, const Interconnect& b) {
  return {std::min(a.bandwidth, b.bandwidth), std::max(a.alpha, b.alpha), a.backend,
          a.sampled && b.sampled, std::min(a.ring_share, b.ring_share), std::max(a.ring_start, b.ring_start)};
}

Interconnect fit_send_recv(const Profile& profile) {
  const CollectiveSample* smallest = nullptr;
  const CollectiveSample* largest = nullptr;
  for (const CollectiveSample& sample : profile.collectives) {
    if (sample.op != "send_recv") continue;
    if (smallest == nullptr || sample.bytes < smallest->bytes) smallest = &sample;
    if (largest == nullptr || sample.bytes > largest->bytes) largest = &sample;
  }
  if (smallest == nullptr || largest->bytes <= smallest->bytes || largest->time <= smallest->time)
    return {};
  const BytesPerSecond bandwidth =
      (largest->bytes - smallest->bytes) / (largest->time - smallest->time);
  const Seconds alpha = std::max(Seconds(0), smallest->time - smallest->bytes / bandwidth);
  return {bandwidth, alpha, smallest->backend};
}

Interconnect interconnect_between(const Device& device, const Fabric& fabric,
                                  const Profile& profile, std::int64_t first, std::int64_t last) {
  if (is_host(device)) {
    const Interconnect fitted = fit_send_recv(profile);
    if (fitted.bandwidth.value() > 0.0) return fitted;
    return {profile.read_bandwidth * kCopyShareOfReadBandwidth, kThreadWakeUp, ""};
  }
  const std::int64_t domain = std::max(1, device.scale_up_domain);
  if (device.scale_up_bandwidth.value() > 0.0 && first / domain == last / domain) {
    const DeviceClass& attained = device_class(device.compute_capability);
    return {device.scale_up_bandwidth, kScaleUpStart, "", true, attained.ring, attained.ring_start};
  }
  return {device.scale_out_bandwidth * fabric.efficiency, kScaleOutStart + fabric.hop_latency, "", false,
          kScaleOutRing};
}

}  // namespace lindos::sim
