// SPDX-License-Identifier: Apache-2.0
// Fast products among the ranks of a replica that are processes: rank 0 has the store's, and what the others time comes back to
// it. Both are collective: every rank of `world` calls them.
#pragma once

#include <memory>

#include "exec/comm/communicator.h"
#include "exec/runner/tuned_products.h"

namespace lindos::exec {

// What rank 0 knows, in a memory of each rank's own; null everywhere where rank 0 has none. Rank 0 gets its own back, and what
// the others hand in is not looked at.
[[nodiscard]] std::shared_ptr<TunedProducts> share_known(const std::shared_ptr<TunedProducts>& own, Communicator& world);
// Rank 0 finds what the others found, and they have handed it over.
void gather_found(TunedProducts& own, Communicator& world);

}  // namespace lindos::exec
