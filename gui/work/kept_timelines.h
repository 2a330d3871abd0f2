// SPDX-License-Identifier: GPL-3.0-or-later
// The timelines of predictions that the window keeps, in the user's data folder: files named by what was predicted.
#pragma once

#include <QString>
#include <cstdint>
#include <string>

#include "scenarios/run_record.h"

namespace lindos::gui {

[[nodiscard]] QString kept_timelines_folder();
// Where the timeline of a prediction is kept; makes room for it.
[[nodiscard]] QString kept_timeline(const std::string& scenario_digest, const std::string& plan_digest,
                                    const QString& fidelity, std::uint64_t seed);
// Empty for a prediction that has no timeline.
[[nodiscard]] QString kept_timeline_of(const RunRecord& predicted);

}  // namespace lindos::gui
