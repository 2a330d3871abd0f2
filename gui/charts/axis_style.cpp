// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/charts/axis_style.h"

#include <qcustomplot.h>

namespace lindos::gui {

void style_plot(QCustomPlot& plot, const Theme& theme) {
  plot.setBackground(theme.base);
  plot.setProperty("ground", theme.base);  // of the export's frame
  for (QCPAxis* axis : {plot.xAxis, plot.yAxis}) style_axis(*axis, theme);
}

void style_axis(QCPAxis& axis, const Theme& theme) {
  axis.setBasePen(QPen(theme.axis));
  axis.setTickPen(QPen(theme.axis));
  axis.setSubTickPen(Qt::NoPen);
  axis.setTickLabelColor(theme.muted);
  axis.setLabelColor(theme.text);
  axis.grid()->setPen(QPen(theme.grid));
  axis.grid()->setSubGridVisible(false);
}

void legend_above(QCustomPlot& plot) {
  plot.plotLayout()->insertRow(0);
  auto* legend_row = new QCPLayoutGrid;
  plot.plotLayout()->addElement(0, 0, legend_row);
  legend_row->addElement(0, 0, plot.legend);
  plot.plotLayout()->setRowStretchFactor(0, 0.001);
  plot.legend->setFillOrder(QCPLegend::foColumnsFirst);
  plot.legend->setBorderPen(Qt::NoPen);
  plot.legend->setBrush(Qt::NoBrush);
  plot.legend->setIconSize(16, 16);
}

}  // namespace lindos::gui
