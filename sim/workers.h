// SPDX-License-Identifier: Apache-2.0
// Independent pieces of work on threads of their own.
#pragma once

#include <cstddef>
#include <functional>

namespace lindos::sim {

// As many as there are cores, at most `count`.
[[nodiscard]] std::size_t workers_for(std::size_t count);

// Calls work(worker, i) once for each i below `count`, in order of i, each worker one call at a time. `done` may be empty; it
// is called on the caller's thread. Once all have stopped, what the first i threw is thrown; later ones need not have begun.
void run_workers(std::size_t workers, std::size_t count, const std::function<void(std::size_t, std::size_t)>& work,
                 const std::function<void(double)>& done = {});

}  // namespace lindos::sim
