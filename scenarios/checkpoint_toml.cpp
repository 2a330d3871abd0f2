// SPDX-License-Identifier: Apache-2.0
// How a training job saves its state ↔ TOML, [workload.checkpoint].
#include <string>

#include "scenarios/scenario_toml.h"

namespace lindos {

CheckpointPolicy read_checkpoint(const TomlTable& table) {
  table.allow({"interval", "asynchronous", "blocking", "save_overhead", "load_overhead", "source"});
  CheckpointPolicy checkpoint;
  if (table.has("interval")) {
    checkpoint.interval = table.quantity<Seconds>("interval");
    if (checkpoint.interval == Seconds{0}) {
      table.fail("interval", "must be above zero; remove the key for the best interval");
    }
  }
  checkpoint.asynchronous = table.boolean_or("asynchronous", false);
  if (table.has("blocking")) {
    if (!checkpoint.asynchronous) {
      table.fail("blocking",
                 "a synchronous save blocks for as long as it writes; add asynchronous = true or "
                 "remove the key");
    }
    checkpoint.blocking = table.quantity<Seconds>("blocking");
    if (table.has("interval") && checkpoint.blocking >= checkpoint.interval) {
      table.fail("blocking", format(checkpoint.blocking) + " is not below the interval of " +
                                 format(checkpoint.interval) + ": the job would only save");
    }
  }
  checkpoint.save_overhead = table.quantity_or("save_overhead", Seconds{0});
  checkpoint.load_overhead = table.quantity_or("load_overhead", Seconds{0});
  checkpoint.source = table.source();
  return checkpoint;
}

void write_checkpoint(TomlText& out, const CheckpointPolicy& checkpoint) {
  if (checkpoint == CheckpointPolicy{}) return;
  out.header("workload.checkpoint");
  if (checkpoint.interval != Seconds{0}) out.quantity("interval", checkpoint.interval);
  out.boolean("asynchronous", checkpoint.asynchronous);
  if (checkpoint.asynchronous) out.quantity("blocking", checkpoint.blocking);
  out.quantity("save_overhead", checkpoint.save_overhead);
  out.quantity("load_overhead", checkpoint.load_overhead);
  out.source(checkpoint.source);
}

}  // namespace lindos
