// SPDX-License-Identifier: GPL-3.0-or-later
// A chart as a file: PNG at twice the size on screen, SVG, PDF. QSvgGenerator drops painter clips, so an opaque frame
// covers what would spill over the axes.
#pragma once

#include <QColor>
#include <QString>

class QCustomPlot;

namespace lindos::gui {

// Once per plot, before it is exported: adds the layer of the frame.
void prepare_export(QCustomPlot& plot);
// By the ending of `file`. An error text, or empty when written.
[[nodiscard]] QString export_plot(QCustomPlot& plot, const QString& file, const QString& title, const QColor& ground);
// The same with a line above the chart that says what it shows, which stands in the window beside it.
[[nodiscard]] QString export_captioned(QCustomPlot& plot, const QString& caption, const QColor& ink, const QString& file,
                                       const QString& title, const QColor& ground);

}  // namespace lindos::gui
