// SPDX-License-Identifier: GPL-3.0-or-later
// QCustomPlot 2.1 asks for the pixel ratio of its screen when it is made and never again: moved to another screen, a chart would
// be blurred or half the size.
#pragma once

class QCustomPlot;

namespace lindos::gui {

// Looks at the ratio whenever the chart is painted.
void follow_pixel_ratio(QCustomPlot& plot);

}  // namespace lindos::gui
