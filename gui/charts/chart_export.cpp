// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/charts/chart_export.h"

#include <qcustomplot.h>

#include <QSaveFile>
#include <QSvgGenerator>
#include <utility>

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

void paint_on(QPaintDevice* device, const QSize& size, const QColor& ground, const std::function<void(QCPPainter&)>& paint) {
  QCPPainter painter(device);
  painter.setModes(QCPPainter::PainterModes(QCPPainter::pmVectorized) | QCPPainter::pmNoCaching);
  painter.setWindow(QRect({}, size));
  painter.fillRect(QRect({}, size), ground);
  paint(painter);
}

}  // namespace

void prepare_export(QCustomPlot& plot) {
  plot.addLayer("clip", plot.layer("main"), QCustomPlot::limAbove);
  new ClipFrame(&plot);
}

QString export_painted(const QSize& size, const QString& file, const QString& title, const QColor& ground,
                       const std::function<void(QCPPainter&)>& paint) {
  const bool svg = file.endsWith(".svg", Qt::CaseInsensitive);
  const bool pdf = file.endsWith(".pdf", Qt::CaseInsensitive);
  if (!svg && !pdf && !file.endsWith(".png", Qt::CaseInsensitive))
    return QObject::tr("%1: the ending must be .png, .svg or .pdf").arg(file);
  QSaveFile out(file);
  if (!out.open(QIODevice::WriteOnly)) return QObject::tr("%1 cannot be written: %2").arg(file, out.errorString());
  if (svg) {
    QSvgGenerator generator;
    generator.setOutputDevice(&out);
    generator.setSize(size);
    generator.setViewBox(QRect({}, size));
    generator.setResolution(96);  // otherwise 800 px become 1,067
    generator.setTitle(title);
    paint_on(&generator, size, ground, paint);
  } else if (pdf) {
    QPdfWriter writer(&out);
    writer.setPageSize(QPageSize(QSizeF(size) * 0.75, QPageSize::Point));
    writer.setPageMargins(QMarginsF());
    writer.setResolution(96);
    writer.setTitle(title);
    paint_on(&writer, size, ground, paint);
  } else {
    QImage image(size * 2, QImage::Format_RGB32);
    paint_on(&image, size, ground, paint);
    image.save(&out, "PNG");
  }
  return out.commit() ? QString() : QObject::tr("%1 cannot be written: %2").arg(file, out.errorString());
}

QString export_widget(QWidget& widget, const QString& file, const QString& title, const QColor& ground) {
  return export_painted(widget.size(), file, title, ground, [&](QCPPainter& painter) { widget.render(&painter); });
}

QString export_in_light(const Theme*& theme, const std::function<void()>& draw, const std::function<QString()>& write) {
  const Theme* shown = std::exchange(theme, &light_theme());
  draw();
  QString error = write();
  theme = shown;
  draw();
  return error;
}

QString export_plot(QCustomPlot& plot, const QString& file, const QString& title, const QColor& ground) {
  return export_painted(plot.size(), file, title, ground,
                        [&](QCPPainter& painter) { plot.toPainter(&painter, plot.width(), plot.height()); });
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
