// SPDX-License-Identifier: Apache-2.0
// What it costs ranks to meet in their kernels, where one GPU can show it: all ranks on that GPU, a stream each, against the same sum
// without meetings. No link is crossed: the figures are of the protocol, not of NVLink.
#pragma once

#include <nlohmann/json.hpp>

namespace lindos::bench {

// 2, 4 and 8 ranks, 8 KB to 4 MB. Prints a line per size.
[[nodiscard]] nlohmann::ordered_json time_meetings();

}  // namespace lindos::bench
