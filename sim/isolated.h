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
// names it. Ctrl-C and SIGTERM are the parent's affair: the child does not see them, since SimGrid
// would answer with a handler of its own that can hang. When `cancelled` (polled; may be empty) says
// so the child is ended and Error{kCancelled} thrown; a parent that dies takes the child with it.
[[nodiscard]] std::string run_isolated(const std::function<std::string()>& work,
                                       const std::function<bool()>& cancelled = {});

}  // namespace lindos::sim
