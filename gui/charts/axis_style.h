// SPDX-License-Identifier: GPL-3.0-or-later
// How every chart paints its ground and its axes.
#pragma once

#include "gui/app/theme.h"

class QCustomPlot;
class QCPAxis;

namespace lindos::gui {

// Ground and the two axes of a plot, with their grids. What a chart wants otherwise it sets afterwards.
void style_plot(QCustomPlot& plot, const Theme& theme);
void style_axis(QCPAxis& axis, const Theme& theme);
// Once per plot: its legend lies above what is drawn, in a row of its own.
void legend_above(QCustomPlot& plot);

}  // namespace lindos::gui
