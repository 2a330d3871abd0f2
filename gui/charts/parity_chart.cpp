// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/charts/parity_chart.h"

#include <qcustomplot.h>

#include <QHelpEvent>
#include <QToolTip>
#include <QVBoxLayout>
#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "gui/charts/axis_style.h"
#include "gui/charts/chart_export.h"
#include "gui/charts/pixel_ratio.h"
#include "gui/map/map_colours.h"
#include "gui/models/format.h"
#include "scenarios/metrics.h"

namespace lindos::gui {

namespace {

constexpr double kBand = 0.10;
constexpr double kReach = 12.0;  // pixels around a point in which it is meant
constexpr std::array<QCPScatterStyle::ScatterShape, 4> kShapes = {
    QCPScatterStyle::ssDisc, QCPScatterStyle::ssDiamond, QCPScatterStyle::ssSquare, QCPScatterStyle::ssTriangle};

// "−10", as all other numbers of the window.
class TrueMinus : public QCPAxisTicker {
 protected:
  QString getTickLabel(double tick, const QLocale& locale, QChar format, int precision) override {
    return QCPAxisTicker::getTickLabel(tick, locale, format, precision).replace('-', QChar(0x2212));
  }
};

void use_log(QCPAxis* axis, bool on) {
  axis->setScaleType(on ? QCPAxis::stLogarithmic : QCPAxis::stLinear);
  axis->setTicker(on ? QSharedPointer<QCPAxisTicker>(new QCPAxisTickerLog)
                     : QSharedPointer<QCPAxisTicker>(new QCPAxisTicker));
  axis->setNumberFormat("gb");
  axis->setNumberPrecision(4);
}

}  // namespace

ParityChart::ParityChart(QWidget* parent) : QWidget(parent), plot_(new QCustomPlot(this)) {
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, 0, 0, 0);
  column->addWidget(plot_);
  setAccessibleName(tr("Measured over predicted"));
  setAccessibleDescription(tr("One point a pair of runs; the table beside it has the numbers."));
  setMinimumSize(340, 250);
  plot_->installEventFilter(this);
  plot_->plotLayout()->setRowSpacing(4);
  auto* residuals = new QCPAxisRect(plot_);
  plot_->plotLayout()->addElement(1, 0, residuals);
  plot_->plotLayout()->setRowStretchFactor(0, 3.0);
  plot_->plotLayout()->setRowStretchFactor(1, 1.0);
  for (QCPAxis* axis : residuals->axes()) {
    axis->setLayer("axes");
    axis->grid()->setLayer("grid");
  }
  auto* margins = new QCPMarginGroup(plot_);
  for (QCPAxisRect* rect : plot_->axisRects()) rect->setMarginGroup(QCP::msLeft | QCP::msRight, margins);
  prepare_export(*plot_);
  follow_pixel_ratio(*plot_);
}

void ParityChart::show_points(const std::vector<ParityPoint>& points, const QString& subtitle) {
  points_ = points;
  subtitle_ = subtitle;
  draw();
}

void ParityChart::set_theme(const Theme& theme) {
  theme_ = &theme;
  draw();
}

std::vector<std::pair<double, double>> ParityChart::drawn() const {
  std::vector<std::pair<double, double>> out;
  for (int i = 0; i < plot_->graphCount(); ++i) {
    const QCPGraph* graph = plot_->graph(i);
    if (!graph->property("points").toBool()) continue;
    for (const QCPGraphData& point : *graph->data()) out.emplace_back(point.key, point.value);
  }
  return out;
}

void ParityChart::draw() {
  const Theme& t = *theme_;
  plot_->clearPlottables();
  plot_->clearItems();
  style_plot(*plot_, t);
  QCPAxisRect* top = plot_->axisRect(0);
  QCPAxisRect* bottom = plot_->axisRect(1);
  QCPAxis *x = top->axis(QCPAxis::atBottom), *y = top->axis(QCPAxis::atLeft);
  QCPAxis *rx = bottom->axis(QCPAxis::atBottom), *ry = bottom->axis(QCPAxis::atLeft);
  for (QCPAxis* axis : {x, y, rx, ry}) {
    style_axis(*axis, t);
    axis->setSubTickPen(QPen(t.axis));  // between the powers of ten
  }
  if (points_.empty()) {
    plot_->replot();
    return;
  }
  const Metric& metric = *find_metric(points_.front().metric);
  const double scale = metric.display_scale;
  double low = HUGE_VAL;
  double high = -HUGE_VAL;
  double largest_error = 0.15;
  for (const ParityPoint& p : points_) {
    for (const double v : {p.predicted.p50, p.measured.p50, p.predicted.p10, p.predicted.p90}) {
      if (v <= 0.0 && p.predicted.p50 > 0.0) continue;  // a logarithmic axis has no room for it
      low = std::min(low, v * scale);
      high = std::max(high, v * scale);
    }
    largest_error = std::max(largest_error, std::abs(p.error));
  }
  // Over more than a decade only logarithms show the small ones.
  const bool log = low > 0.0 && high / low > 8.0;
  const double pad = high > low ? (high - low) * 0.08 : std::abs(high) * 0.2 + 1e-12;
  const double from = log ? low / 1.35 : std::max(low >= 0.0 ? 0.0 : low - pad, low - pad);
  const double to = log ? high * 1.35 : high + pad;
  for (QCPAxis* axis : {x, y, rx}) {
    use_log(axis, log);
    axis->setRange(from, to);
  }
  const QString unit = to_qt(metric.display);
  x->setTickLabels(false);
  y->setLabel(tr("measured, %1").arg(unit));
  rx->setLabel(tr("%1: predicted, %2").arg(to_qt(metric.label), unit));
  const double reach = std::min(largest_error, 2.0) * 115.0;
  ry->setRange(-reach, reach);
  ry->setLabel(tr("error, %"));
  ry->setTicker(QSharedPointer<QCPAxisTicker>(new TrueMinus));
  ry->ticker()->setTickCount(3);

  const auto line = [&](QCPAxis* kx, QCPAxis* ky, double y0, double y1, const QPen& pen) {
    auto* graph = plot_->addGraph(kx, ky);
    graph->setData({from, to}, {y0, y1}, true);
    graph->setPen(pen);
    graph->removeFromLegend();
    return graph;
  };
  QColor band = t.useful;
  band.setAlpha(t.dark ? 46 : 30);
  auto* upper = line(x, y, from * (1.0 + kBand), to * (1.0 + kBand), Qt::NoPen);
  auto* lower = line(x, y, from * (1.0 - kBand), to * (1.0 - kBand), Qt::NoPen);
  upper->setBrush(band);
  upper->setChannelFillGraph(lower);
  line(x, y, from, to, QPen(t.axis, 1.2));
  auto* ten = line(rx, ry, 10.0, 10.0, Qt::NoPen);
  ten->setBrush(band);
  ten->setChannelFillGraph(line(rx, ry, -10.0, -10.0, Qt::NoPen));
  line(rx, ry, 0.0, 0.0, QPen(t.axis, 1.2));

  // One kind of point for each hardware.
  std::map<QString, std::vector<const ParityPoint*>> kinds;
  for (const ParityPoint& p : points_) kinds[p.hardware].push_back(&p);
  std::size_t kind = 0;
  plot_->legend->clearItems();
  for (const auto& [hardware, own] : kinds) {
    const QColor colour = kind_colour(kind, t.dark);
    const QCPScatterStyle shape(kShapes[kind % kShapes.size()], QPen(colour, 1.5), QBrush(colour), 8);
    ++kind;
    QVector<double> px, py, error, left, right;
    for (const ParityPoint* p : own) {
      px << p->predicted.p50 * scale;
      py << p->measured.p50 * scale;
      error << p->error * 100.0;
      left << (p->predicted.p50 - p->predicted.p10) * scale;
      right << (p->predicted.p90 - p->predicted.p50) * scale;
    }
    auto* scatter = plot_->addGraph(x, y);
    scatter->setProperty("points", true);
    scatter->setLineStyle(QCPGraph::lsNone);
    scatter->setScatterStyle(shape);
    scatter->setData(px, py);
    scatter->setName(hardware);
    auto* bars = new QCPErrorBars(x, y);
    bars->setErrorType(QCPErrorBars::etKeyError);
    bars->setDataPlottable(scatter);
    bars->setData(left, right);
    bars->setSymbolGap(0);
    bars->setPen(QPen(colour, 1.0));
    bars->setWhiskerWidth(5);
    bars->removeFromLegend();
    auto* strip = plot_->addGraph(rx, ry);
    strip->setLineStyle(QCPGraph::lsNone);
    strip->setScatterStyle(shape);
    strip->setData(px, error);
    strip->removeFromLegend();
  }
  plot_->legend->setVisible(true);
  plot_->legend->setBrush(t.base);
  plot_->legend->setBorderPen(Qt::NoPen);
  plot_->legend->setTextColor(t.text);
  plot_->legend->setFont(font());
  top->insetLayout()->setInsetAlignment(0, Qt::AlignTop | Qt::AlignLeft);
  plot_->replot();
}

int ParityChart::point_at(const QPointF& position) const {
  if (points_.empty()) return -1;
  const double scale = find_metric(points_.front().metric)->display_scale;
  const QCPAxisRect* top = plot_->axisRect(0);
  const QCPAxisRect* bottom = plot_->axisRect(1);
  int best = -1;
  double least = kReach;
  for (std::size_t i = 0; i < points_.size(); ++i) {
    const ParityPoint& p = points_[i];
    const double px = top->axis(QCPAxis::atBottom)->coordToPixel(p.predicted.p50 * scale);
    const QPointF upper(px, top->axis(QCPAxis::atLeft)->coordToPixel(p.measured.p50 * scale));
    const QPointF lower(px, bottom->axis(QCPAxis::atLeft)->coordToPixel(p.error * 100.0));
    for (const QPointF& at : {upper, lower}) {
      const double distance = std::hypot(at.x() - position.x(), at.y() - position.y());
      if (distance >= least) continue;
      least = distance;
      best = static_cast<int>(i);
    }
  }
  return best;
}

bool ParityChart::eventFilter(QObject* watched, QEvent* event) {
  if (watched == plot_ && event->type() == QEvent::ToolTip) {
    const auto* help = static_cast<QHelpEvent*>(event);
    const int i = point_at(help->pos());
    if (i < 0) {
      QToolTip::hideText();
      return true;
    }
    const ParityPoint& p = points_[static_cast<std::size_t>(i)];
    QToolTip::showText(
        help->globalPos(),
        tr("run %1: %2, plan %3\npredicted %4 (%5), measured %6, error %7 %")
            .arg(p.measured_id)
            .arg(p.scenario, p.plan, metric_text(p.metric, p.predicted.p50), metric_interval(p.metric, p.predicted),
                 metric_text(p.metric, p.measured.p50), points(p.error)),
        plot_);
    return true;
  }
  if (watched == plot_ && event->type() == QEvent::MouseButtonDblClick) {
    const int i = point_at(static_cast<QMouseEvent*>(event)->position());
    if (i >= 0) emit point_chosen(points_[static_cast<std::size_t>(i)].measured_id);
  }
  return QWidget::eventFilter(watched, event);
}

QString ParityChart::export_to(const QString& file) {
  return export_in_light(theme_, [this] { draw(); }, [&] {
    return export_captioned(*plot_, subtitle_, theme_->muted, file, tr("Measured over predicted"), theme_->base);
  });
}

}  // namespace lindos::gui
