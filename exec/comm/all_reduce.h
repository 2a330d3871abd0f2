// SPDX-License-Identifier: Apache-2.0
// Which way the partial sums of a tensor group on GPUs take.
#pragma once

namespace lindos::exec {

enum class AllReduce {
  kAuto,   // threads on one GPU: events; processes: peer memory where all reach each other's, else NCCL
  kPeer,   // the ranks' kernels meet in each other's memory
  kNccl,   // processes only
};

}  // namespace lindos::exec
