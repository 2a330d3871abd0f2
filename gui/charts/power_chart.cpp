// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/charts/power_chart.h"

#include <QHelpEvent>
#include <QToolTip>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>
#include <utility>

#include <qcustomplot.h>

#include "gui/charts/axis_style.h"
#include "gui/charts/chart_export.h"
#include "gui/charts/pixel_ratio.h"
#include "gui/map/map_colours.h"

namespace lindos::gui {

PowerChart::PowerChart(QWidget* parent) : QWidget(parent), plot_(new QCustomPlot(this)) {
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, 0, 0, 0);
  column->addWidget(plot_);
  setAccessibleName(tr("Power against the cap"));
  setAccessibleDescription(tr("Bars by pool; the table below has the numbers."));
  setMinimumSize(420, 200);
  plot_->installEventFilter(this);
  prepare_export(*plot_);
  follow_pixel_ratio(*plot_);
  plot_->yAxis->setRangeReversed(true);
  plot_->setAutoAddPlottableToLegend(false);
  legend_above(*plot_);
}

void PowerChart::show_power(const PowerView& view, const QString& subtitle) {
  view_ = view;
  subtitle_ = subtitle;
  draw();
}

void PowerChart::set_theme(const Theme& theme) {
  theme_ = &theme;
  draw();
}

std::vector<double> PowerChart::drawn() const {
  std::vector<double> ends(view_.bars.size(), 0.0);
  for (int i = 0; i < plot_->plottableCount(); ++i) {
    const auto* bars = qobject_cast<QCPBars*>(plot_->plottable(i));
    if (bars == nullptr) continue;
    for (const QCPBarsData& bar : *bars->data())
      ends[static_cast<std::size_t>(std::lround(bar.key))] += bar.value * unit_;
  }
  return ends;
}

void PowerChart::draw() {
  const Theme& t = *theme_;
  plot_->clearPlottables();
  plot_->clearItems();
  style_plot(*plot_, t);
  plot_->yAxis->grid()->setVisible(false);
  double most = view_.cap;
  for (const PowerBar& bar : view_.bars)
    most = std::max({most, bar.watts(), bar.p90.value_or(0.0)});
  unit_ = most >= 1e6 ? 1e6 : most >= 1e4 ? 1e3 : 1.0;
  plot_->xAxis->setLabel(tr("power, %1").arg(unit_ == 1e6 ? "MW" : unit_ == 1e3 ? "kW" : "W"));
  plot_->xAxis->setRange(0.0, most > 0.0 ? most / unit_ * 1.12 : 1.0);
  plot_->yAxis->setRange(-0.8, static_cast<double>(view_.bars.size()) - 0.4);

  QSharedPointer<QCPAxisTickerText> names(new QCPAxisTickerText);
  plot_->legend->clearItems();
  std::vector<QString> named;
  for (std::size_t b = 0; b < view_.bars.size(); ++b) {
    const PowerBar& bar = view_.bars[b];
    const auto at = static_cast<double>(b);
    names->addTick(at, QString(bar.name).replace(", ", ",\n"));
    QCPBars* below = nullptr;
    for (const PowerSegment& segment : bar.segments) {
      auto* part = new QCPBars(plot_->yAxis, plot_->xAxis);
      part->setWidth(0.55);
      const QColor colour = segment.pool >= 0
                                ? kind_colour(static_cast<std::size_t>(segment.pool), t.dark)
                                : t.folded;
      part->setBrush(colour);
      part->setPen(QPen(t.base, 1));
      part->setName(segment.name);
      part->addData(at, segment.watts / unit_);
      if (below != nullptr) part->moveAbove(below);
      below = part;
      if (std::find(named.begin(), named.end(), segment.name) != named.end()) continue;
      named.push_back(segment.name);
      part->addToLegend();
    }
    const double end = std::max(bar.watts(), bar.p90.value_or(0.0)) / unit_;
    if (bar.p10 && *bar.p10 < *bar.p90) {
      auto* whisker = new QCPItemLine(plot_);
      whisker->start->setCoords(*bar.p10 / unit_, at);
      whisker->end->setCoords(*bar.p90 / unit_, at);
      whisker->setPen(QPen(t.text, 1.4));
      whisker->setHead(QCPLineEnding(QCPLineEnding::esBar, 8));
      whisker->setTail(QCPLineEnding(QCPLineEnding::esBar, 8));
    }
    auto* text = new QCPItemText(plot_);
    text->position->setCoords(end, at);
    text->setPositionAlignment(Qt::AlignLeft | Qt::AlignVCenter);
    text->setText(watts_text(bar.watts()));
    text->setColor(t.text);
    text->setPadding(QMargins(6, 0, 0, 0));
    text->setFont(font());
  }
  if (view_.cap > 0.0) {
    const QColor colour = view_.over ? t.error_text : t.text;
    auto* line = new QCPItemStraightLine(plot_);
    line->point1->setCoords(view_.cap / unit_, 0.0);
    line->point2->setCoords(view_.cap / unit_, 1.0);
    line->setPen(QPen(colour, 2, Qt::DashLine));
    auto* text = new QCPItemText(plot_);
    text->position->setCoords(view_.cap / unit_, -0.55);
    text->setPositionAlignment(Qt::AlignRight | Qt::AlignVCenter);
    text->setText(tr("cap of the site %1").arg(watts_text(view_.cap)));
    text->setColor(colour);
    text->setPadding(QMargins(0, 0, 6, 0));
    text->setFont(font());
  }
  plot_->yAxis->setTicker(names);
  plot_->legend->setVisible(!named.empty());
  plot_->legend->setTextColor(t.text);
  plot_->legend->setFont(font());
  plot_->replot();
}

QString PowerChart::text_at(const QPointF& position) const {
  const long bar = std::lround(plot_->yAxis->pixelToCoord(position.y()));
  if (bar < 0 || bar >= static_cast<long>(view_.bars.size())) return {};
  const PowerBar& own = view_.bars[static_cast<std::size_t>(bar)];
  QString text = own.name + ": " + watts_text(own.watts());
  if (own.p10 && *own.p10 < *own.p90)
    text += tr(" (P10 – P90 %1 – %2)").arg(watts_text(*own.p10), watts_text(*own.p90));
  for (const PowerSegment& segment : own.segments)
    text += "\n" + segment.name + ": " + watts_text(segment.watts);
  return text + "\n" + own.sentence;
}

bool PowerChart::eventFilter(QObject* watched, QEvent* event) {
  if (watched == plot_ && event->type() == QEvent::ToolTip) {
    const auto* help = static_cast<QHelpEvent*>(event);
    QToolTip::showText(help->globalPos(), text_at(help->pos()), plot_);
    return true;
  }
  return QWidget::eventFilter(watched, event);
}

QString PowerChart::export_to(const QString& file) {
  return export_in_light(theme_, [this] { draw(); }, [&] {
    return export_captioned(*plot_, subtitle_, theme_->muted, file, tr("Power"), theme_->base);
  });
}

}  // namespace lindos::gui
