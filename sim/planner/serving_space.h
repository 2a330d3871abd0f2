// SPDX-License-Identifier: Apache-2.0
// What a serving search may choose: how a replica is cut and run on one pool, or over two. Of a replica on two pools every
// stage is on one of them, with layers by speed: a tensor group over both would send its all-reduces, two of each layer,
// through the NICs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "scenarios/profile.h"
#include "scenarios/scenario.h"
#include "sim/planner/pruned.h"
#include "sim/planner/serving_point.h"

namespace lindos::sim {

struct ServingSpace {
  std::vector<ServingShape> shapes;
  std::int64_t tried = 0;           // of these, and of what is left out
  Pruned pruned;
};

// On one pool: tensor degrees in powers of two within the scale-up domain, 1, 2 or 4 stages. `apart`: also replicas that only
// compute prompts or only decode.
void add_shapes_on(ServingSpace& space, const Scenario& scenario, std::size_t pool, const std::vector<Dtype>& dtypes, bool apart);

// The first stages on one pool, the last ones on the other; tensor degrees as above, no more than twice as many ranks of a stage
// on one side. Replicas that do both parts of the work have layers by speed of reading and by speed of products, prompts by
// products, decodes by reading: as near to that as memory permits. One stage per pool; more of them only where fewer have no
// room.
void add_shapes_over(ServingSpace& space, const Scenario& scenario, const std::map<std::string, Profile>& profiles,
                     std::size_t first, std::size_t last, const std::vector<Dtype>& dtypes, bool apart);

}  // namespace lindos::sim
