// SPDX-License-Identifier: GPL-3.0-or-later
// What a file is that a user drops or opens: by its ending and its first words, so that a renamed one is still told.
#pragma once

#include <QString>

namespace lindos::gui {

enum class FileKind { kScenario, kPlan, kProfile, kTimeline, kVllm, kLlamaBench, kTrace, kUnknown };

// JSON that says nothing of itself counts as a timeline, whose reader names what it lacks.
[[nodiscard]] FileKind kind_of_file(const QString& path);

}  // namespace lindos::gui
