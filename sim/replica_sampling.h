// SPDX-License-Identifier: Apache-2.0
// Sampling of a fleet whose routing looks at no load: replica by replica. All requests are dealt first, and a replica's
// run depends on those alone that it is dealt.
#pragma once

#include <memory>

#include "sim/fleet_sampling.h"

namespace lindos::sim {

[[nodiscard]] std::unique_ptr<FleetSampling> sample_replicas(const Scenario& scenario, const Fleet& fleet,
                                                             const PredictOptions& options);

}  // namespace lindos::sim
