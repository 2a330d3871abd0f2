// SPDX-License-Identifier: GPL-3.0-or-later
// The colours of the window, light and dark. Text reaches a contrast of 4.5 on its ground, marks and lines 3
// (tests/gui/theme_test.cpp). Red is kept for what failed.
#pragma once

#include <QColor>
#include <QPalette>
#include <QString>
#include <array>

#include "scenarios/waterfall.h"

namespace lindos::gui {

struct Theme {
  bool dark = false;
  QColor window, base, alternate, text, muted, border, accent, on_accent;
  QColor axis, grid, peak, useful, folded, measured;
  std::array<QColor, kLossGroups> loss;  // by LossGroup
  QColor info_ground, info_text, warning_ground, warning_text, error_ground, error_text;
};

enum class ThemeChoice { kSystem, kLight, kDark };

[[nodiscard]] const Theme& light_theme();
[[nodiscard]] const Theme& dark_theme();
// Of the desktop: Qt 6.4 names no colour scheme, so its palette decides. REQUIRES: before any apply_theme.
[[nodiscard]] bool desktop_is_dark();
// Palette and style sheet of the application.
void apply_theme(const Theme& theme);
// WCAG 2 contrast ratio, 1 … 21.
[[nodiscard]] double contrast(const QColor& a, const QColor& b);

}  // namespace lindos::gui
