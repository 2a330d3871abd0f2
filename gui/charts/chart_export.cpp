// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/charts/chart_export.h"

#include <qcustomplot.h>

#include <QSaveFile>
#include <QSvgGenerator>

namespace lindos::gui {

namespace {

class ClipFrame : public QCPLayerable {
 public:
  explicit ClipFrame(QCustomPlot* plot) : QCPLayerable(plot, "clip") {}

 protected:
  void applyDefaultAntialiasingHint(QCPPainter* painter) const override { painter->setAntialiasing(false); }
  void draw(QCPPainter* painter) override {
    QPainterPath frame;
    frame.addRect(QRectF(mParentPlot->viewport()).adjusted(-4, -4, 4, 4));
    for (const QCPAxisRect* rect : mParentPlot->axisRects()) frame.addRect(QRectF(rect->rect()));
    painter->fillPath(frame, mParentPlot->property("ground").value<QColor>());
  }
};

void paint(QCustomPlot& plot, QPaintDevice* device, const QColor& ground) {
  QCPPainter painter(device);
  painter.setModes(QCPPainter::PainterModes(QCPPainter::pmVectorized) | QCPPainter::pmNoCaching);
  painter.setWindow(plot.rect());
  painter.fillRect(plot.rect(), ground);
  plot.toPainter(&painter, plot.width(), plot.height());
}

}  // namespace

void prepare_export(QCustomPlot& plot) {
  plot.addLayer("clip", plot.layer("main"), QCustomPlot::limAbove);
  new ClipFrame(&plot);
}

QString export_plot(QCustomPlot& plot, const QString& file, const QString& title, const QColor& ground) {
  const bool svg = file.endsWith(".svg", Qt::CaseInsensitive);
  const bool pdf = file.endsWith(".pdf", Qt::CaseInsensitive);
  if (!svg && !pdf && !file.endsWith(".png", Qt::CaseInsensitive))
    return QObject::tr("%1: the ending must be .png, .svg or .pdf").arg(file);
  QSaveFile out(file);
  if (!out.open(QIODevice::WriteOnly)) return QObject::tr("%1 cannot be written: %2").arg(file, out.errorString());
  if (svg) {
    QSvgGenerator generator;
    generator.setOutputDevice(&out);
    generator.setSize(plot.size());
    generator.setViewBox(plot.rect());
    generator.setResolution(96);  // otherwise 800 px become 1,067
    generator.setTitle(title);
    paint(plot, &generator, ground);
  } else if (pdf) {
    QPdfWriter writer(&out);
    writer.setPageSize(QPageSize(QSizeF(plot.width() * 0.75, plot.height() * 0.75), QPageSize::Point));
    writer.setPageMargins(QMarginsF());
    writer.setResolution(96);
    writer.setTitle(title);
    paint(plot, &writer, ground);
  } else {
    plot.toPixmap(plot.width(), plot.height(), 2.0).save(&out, "PNG");
  }
  return out.commit() ? QString() : QObject::tr("%1 cannot be written: %2").arg(file, out.errorString());
}

QString export_captioned(QCustomPlot& plot, const QString& caption, const QColor& ink, const QString& file,
                         const QString& title, const QColor& ground) {
  auto* line = new QCPTextElement(&plot, caption);
  line->setTextColor(ink);
  line->setTextFlags(Qt::AlignLeft);
  plot.plotLayout()->insertRow(0);
  plot.plotLayout()->addElement(0, 0, line);
  plot.replot();
  const QString error = export_plot(plot, file, title, ground);
  plot.plotLayout()->remove(line);
  plot.plotLayout()->simplify();
  return error;
}

}  // namespace lindos::gui
