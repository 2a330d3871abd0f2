// SPDX-License-Identifier: GPL-3.0-or-later
// A chart as a file: PNG at twice the size on screen, SVG, PDF. QSvgGenerator drops painter clips, so an opaque frame
// covers what would spill over the axes.
#pragma once

#include <QColor>
#include <QSize>
#include <QString>
#include <functional>

#include "gui/app/theme.h"

class QCPPainter;
class QCustomPlot;
class QWidget;

namespace lindos::gui {

// Once per plot, before it is exported: adds the layer of the frame.
void prepare_export(QCustomPlot& plot);
// Whatever `paint` paints on a ground of `size`, by the ending of `file`. An error text, or empty when written.
[[nodiscard]] QString export_painted(const QSize& size, const QString& file, const QString& title, const QColor& ground,
                                     const std::function<void(QCPPainter&)>& paint);
// A widget that paints itself.
[[nodiscard]] QString export_widget(QWidget& widget, const QString& file, const QString& title, const QColor& ground);
// What `write` writes of a chart that `draw` draws in `theme`: light, as on paper. Drawn as it was afterwards.
[[nodiscard]] QString export_in_light(const Theme*& theme, const std::function<void()>& draw,
                                      const std::function<QString()>& write);
[[nodiscard]] QString export_plot(QCustomPlot& plot, const QString& file, const QString& title, const QColor& ground);
// The same with a line above the chart that says what it shows, which stands in the window beside it.
[[nodiscard]] QString export_captioned(QCustomPlot& plot, const QString& caption, const QColor& ink, const QString& file,
                                       const QString& title, const QColor& ground);

}  // namespace lindos::gui
