// SPDX-License-Identifier: GPL-3.0-or-later
// What changes from run A to run B, device by device. Pure numbers and texts, no widgets.
#pragma once

#include <QString>
#include <memory>
#include <string_view>
#include <vector>

#include "gui/models/fleet.h"

namespace lindos::gui {

enum class ChangeMode { kDifference, kRatio };

// Both or none.
struct FleetPair {
  std::shared_ptr<const Fleet> a, b;
  explicit operator bool() const { return a && b; }
};

// Why their devices cannot be compared one by one; empty: they can. `a`, `b`: what the runs are called.
[[nodiscard]] QString why_not_comparable(const FleetPair& pair, const QString& a, const QString& b);

// B − A or B / A; NaN where either run has no value. Empty where either lacks the quantity. REQUIRES: comparable.
[[nodiscard]] std::vector<float> changes_of(const FleetPair& pair, std::string_view quantity, ChangeMode mode);
// Where nothing changes: 0, or 1 of a ratio.
[[nodiscard]] constexpr double no_change(ChangeMode mode) { return mode == ChangeMode::kRatio ? 1.0 : 0.0; }

// "+2.3 points", "−0.012", "+12.00 W"; of a ratio "×1.024".
[[nodiscard]] QString change_text(const Metric& quantity, double change, ChangeMode mode);

}  // namespace lindos::gui
