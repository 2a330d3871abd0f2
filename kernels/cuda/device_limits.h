// SPDX-License-Identifier: Apache-2.0
// What launchers need to know of the current device, asked for once per process.
#pragma once

namespace lindos::kernels::cuda {

// Of the device, or of the part of it that this thread works on.
[[nodiscard]] int multiprocessors();
// This thread's launches are for so many multiprocessors; 0: for all.
void use_multiprocessors(int count);
[[nodiscard]] int compute_capability();   // 90 = sm_90
[[nodiscard]] int shared_memory();         // bytes that one block may ask for

}  // namespace lindos::kernels::cuda
