// SPDX-License-Identifier: GPL-3.0-or-later
// What is asked for per GPU and a run does not have, with the reason: said, never drawn as zero.
#pragma once

#include <QString>
#include <vector>

#include "gui/models/fleet.h"
#include "scenarios/run_record.h"
#include "scenarios/run_samples.h"

namespace lindos::gui {

struct MissingField {
  QString label;   // of the quantity
  QString state;   // "not measured"
  QString reason;  // one sentence
};

// Of the power and the temperature of GPUs those that `fleet` has no values of. `run`: whose fleet it is, nullptr before
// anything was predicted. `samples`: of a measured run; nullptr: it has none.
[[nodiscard]] std::vector<MissingField> missing_fields(const Fleet& fleet, const RunRecord* run, const RunSamples* samples);

}  // namespace lindos::gui
