// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/models/cells.h"

#include <cmath>

namespace lindos::gui {

Cell word(const QString& text, const QString& tooltip) {
  Cell cell;
  cell.text = text;
  cell.tooltip = tooltip;
  return cell;
}

Cell number(const QString& text, double value) {
  Cell cell;
  cell.text = text;
  cell.sort = value;
  cell.number = true;
  return cell;
}

Cell absent(const QString& tooltip) {
  Cell cell = number("–", -HUGE_VAL);
  cell.tooltip = tooltip;
  return cell;
}

}  // namespace lindos::gui
