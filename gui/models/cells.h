// SPDX-License-Identifier: GPL-3.0-or-later
// Cells of tables: words, numbers and what is not there, the same in every table.
#pragma once

#include "gui/models/table_model.h"

namespace lindos::gui {

[[nodiscard]] Cell word(const QString& text, const QString& tooltip = {});
// Right-aligned, sorted by `value`.
[[nodiscard]] Cell number(const QString& text, double value);
// "–", sorted below every number.
[[nodiscard]] Cell absent(const QString& tooltip = {});

}  // namespace lindos::gui
