// SPDX-License-Identifier: Apache-2.0
// How a training job saves its state, and what saving and loading cost beyond bytes / storage
// bandwidth. Synchronous: the job stands still for the whole write. Asynchronous: it stands still
// for `blocking` (copy to host memory), the write runs beside the next steps, and until it has
// ended the checkpoint is of no use.
#pragma once

#include "scenarios/hardware.h"
#include "scenarios/units.h"

namespace lindos {

struct CheckpointPolicy {
  Seconds interval{
      0};  // of training between two saves; 0 = the best one (sim/reliability/goodput.h)
  bool asynchronous = false;
  Seconds blocking{0};       // asynchronous only
  Seconds save_overhead{0};  // software, in series with the write
  Seconds load_overhead{0};  // software, in series with the read
  Source source;
  bool operator==(const CheckpointPolicy&) const = default;
};

}  // namespace lindos
