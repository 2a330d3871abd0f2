// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/charts/power_time_chart.h"

#include <QHelpEvent>
#include <QToolTip>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>

#include <qcustomplot.h>

#include "gui/charts/axis_style.h"
#include "gui/charts/chart_export.h"
#include "gui/charts/pixel_ratio.h"
#include "gui/map/map_colours.h"

namespace lindos::gui {

PowerTimeChart::PowerTimeChart(QWidget* parent) : QWidget(parent), plot_(new QCustomPlot(this)) {
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, 0, 0, 0);
  column->addWidget(plot_);
  setAccessibleName(tr("Power over time"));
  setAccessibleDescription(tr("Site and pools against the cap; Show as table gives the numbers."));
  setMinimumSize(420, 160);
  plot_->installEventFilter(this);
  prepare_export(*plot_);
  follow_pixel_ratio(*plot_);
  plot_->setAutoAddPlottableToLegend(false);
  legend_above(*plot_);
}

void PowerTimeChart::show_power(const PowerOverTime& power, const QString& subtitle) {
  power_ = power;
  subtitle_ = subtitle;
  draw();
}

void PowerTimeChart::set_theme(const Theme& theme) {
  theme_ = &theme;
  draw();
}

std::vector<std::vector<double>> PowerTimeChart::drawn() const {
  std::vector<std::vector<double>> out;
  for (int i = 0; i < plot_->graphCount(); ++i) {
    if (plot_->graph(i)->name().isEmpty()) continue;
    std::vector<double>& line = out.emplace_back();
    for (const QCPGraphData& point : *plot_->graph(i)->data()) line.push_back(point.value * unit_);
  }
  return out;
}

void PowerTimeChart::draw() {
  const Theme& t = *theme_;
  plot_->clearGraphs();
  plot_->clearItems();
  plot_->legend->clearItems();
  style_plot(*plot_, t);
  double most = power_.cap;
  double end = 0.0;
  for (const PowerLine& line : power_.lines) {
    for (const double watts : line.most) most = std::max(most, watts);
    if (!line.t_s.empty()) end = std::max(end, line.t_s.back());
  }
  unit_ = most >= 1e6 ? 1e6 : most >= 1e4 ? 1e3 : 1.0;
  plot_->yAxis->setLabel(tr("power, %1").arg(unit_ == 1e6 ? "MW" : unit_ == 1e3 ? "kW" : "W"));
  plot_->yAxis->setRange(0.0, most > 0.0 ? most / unit_ * 1.25 : 1.0);
  plot_->xAxis->setLabel(tr("time since the run began, s"));
  plot_->xAxis->setRange(0.0, end > 0.0 ? end : 1.0);
  const auto in_unit = [this](const std::vector<double>& watts) {
    QVector<double> values;
    for (const double w : watts) values.push_back(w / unit_);
    return values;
  };
  for (const PowerLine& line : power_.lines) {
    const QVector<double> times(line.t_s.begin(), line.t_s.end());
    const QColor colour = line.pool < 0 ? t.text : kind_colour(static_cast<std::size_t>(line.pool), t.dark);
    QCPGraph* mean = plot_->addGraph();
    mean->setName(line.name);
    mean->setPen(QPen(colour, line.pool < 0 ? 2.0 : 1.4));
    mean->setData(times, in_unit(line.mean), true);
    mean->addToLegend();
    if (line.pool >= 0) continue;
    QCPGraph* above = plot_->addGraph();
    above->setName({});  // what is drawn of the site is its mean
    above->setPen(Qt::NoPen);
    above->setData(times, in_unit(line.most), true);
    QColor fill = colour;
    fill.setAlpha(50);
    above->setBrush(fill);
    above->setChannelFillGraph(mean);
  }
  if (power_.cap > 0.0) {
    auto* line = new QCPItemStraightLine(plot_);
    line->point1->setCoords(0.0, power_.cap / unit_);
    line->point2->setCoords(1.0, power_.cap / unit_);
    line->setPen(QPen(t.text, 2, Qt::DashLine));
    auto* text = new QCPItemText(plot_);
    text->position->setTypeX(QCPItemPosition::ptAxisRectRatio);
    text->position->setCoords(1.0, power_.cap / unit_);
    text->setPositionAlignment(Qt::AlignRight | Qt::AlignBottom);
    text->setText(tr("cap of the site %1").arg(watts_text(power_.cap)));
    text->setColor(t.text);
    text->setPadding(QMargins(0, 0, 6, 2));
    text->setFont(font());
  }
  plot_->legend->setVisible(!power_.lines.empty());
  plot_->legend->setTextColor(t.text);
  plot_->legend->setFont(font());
  plot_->replot();
}

QString PowerTimeChart::text_at(double t_s) const {
  QString text;
  for (const PowerLine& line : power_.lines) {
    if (line.t_s.empty()) continue;
    auto after = std::lower_bound(line.t_s.begin(), line.t_s.end(), t_s);
    if (after == line.t_s.end() || (after != line.t_s.begin() && t_s - *(after - 1) < *after - t_s)) --after;
    const auto i = static_cast<std::size_t>(after - line.t_s.begin());
    if (text.isEmpty()) text = tr("around %1 s").arg(line.t_s[i], 0, 'f', 1);
    text += tr("\n%1: %2, at most %3").arg(line.name, watts_text(line.mean[i]), watts_text(line.most[i]));
  }
  return text;
}

bool PowerTimeChart::eventFilter(QObject* watched, QEvent* event) {
  if (watched == plot_ && event->type() == QEvent::ToolTip) {
    const auto* help = static_cast<QHelpEvent*>(event);
    QToolTip::showText(help->globalPos(), text_at(plot_->xAxis->pixelToCoord(help->pos().x())), plot_);
    return true;
  }
  return QWidget::eventFilter(watched, event);
}

QString PowerTimeChart::export_to(const QString& file) {
  return export_in_light(theme_, [this] { draw(); }, [&] {
    return export_captioned(*plot_, subtitle_, theme_->muted, file, tr("Power over time"), theme_->base);
  });
}

}  // namespace lindos::gui
