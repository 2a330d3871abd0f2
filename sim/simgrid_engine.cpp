// SPDX-License-Identifier: Apache-2.0
#include "sim/simgrid_engine.h"

#include <string>
#include <vector>

namespace lindos::sim {

namespace sg = simgrid::s4u;

sg::Engine make_engine(Actors actors) {
  // SimGrid's engine wants a command line; ours silences its log below errors.
  std::string program = "lindos";
  std::vector<std::string> options = {
      "--log=root.thresh:error",
      // So that time = size / bandwidth exactly; each default that is overridden would bend it.
      "--cfg=network/model:CM02",
      "--cfg=network/latency-factor:1",
      "--cfg=network/bandwidth-factor:1",
      "--cfg=network/crosstraffic:0",
      "--cfg=network/weight-S:0",
      // Not 0: that would silently cancel rate limits of flows.
      "--cfg=network/TCP-gamma:1e30",
  };
  if (actors == Actors::kMany) {
    options.emplace_back("--cfg=contexts/stack-size:16");
    options.emplace_back("--cfg=contexts/guard-size:0");
  }
  std::vector<char*> argv{program.data()};
  for (std::string& option : options) argv.push_back(option.data());
  int argc = static_cast<int>(argv.size());
  argv.push_back(nullptr);
  return sg::Engine(&argc, argv.data());
}

}  // namespace lindos::sim
