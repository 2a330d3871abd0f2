// SPDX-License-Identifier: Apache-2.0
// SimGrid's engine with the one network model that this project uses: a flow takes size / bandwidth
// of its share, nothing else (modelling handbook §3.1). One engine per process; use run_isolated
// for more.
#pragma once

#include <simgrid/s4u.hpp>

namespace lindos::sim {

// kMany: stacks of 16 KiB without guard pages, for tens of thousands of actors that do little each.
// Guard pages take two memory maps a stack, and Linux allows 65,530 (handbook §3.2).
enum class Actors { kFew, kMany };

// Before the first zone exists: the model cannot change later.
[[nodiscard]] simgrid::s4u::Engine make_engine(Actors actors);

// Hosts do not compute: actors sleep for as long as their work takes.
inline constexpr double kHostSpeed = 1.0;

}  // namespace lindos::sim
