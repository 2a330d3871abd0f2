// SPDX-License-Identifier: Apache-2.0
// Runs a function in a forked child and brings its bytes back: SimGrid allows one engine per
// process, so each event-level run gets a process of its own. The child inherits memory by copy and
// shares nothing back. REQUIRES: called while the calling thread is the only one that matters to
// `work` (fork copies no others).
#pragma once

#include <functional>
#include <string>

namespace lindos::sim {

// Returns what `work` returned. A lindos::Error thrown in the child is thrown again here with its
// kind and place; any other exception or the death of the child becomes Error{kEnvironment} that
// names it.
[[nodiscard]] std::string run_isolated(const std::function<std::string()>& work);

}  // namespace lindos::sim
