// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/charts/front_chart.h"

#include <qcustomplot.h>

#include <QHelpEvent>
#include <QToolTip>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>

#include "gui/charts/axis_style.h"
#include "gui/charts/chart_export.h"
#include "gui/charts/pixel_ratio.h"
#include "gui/models/format.h"

namespace lindos::gui {

namespace {

constexpr double kReach = 14.0;  // pixels around a point in which it is meant
constexpr double kMegawatt = 1e6;

// Against power where all plans state it, else by their place in the table.
double horizontal(const PlanSearch& search, std::size_t plan) {
  return all_state_power(search) ? *search.plans[plan].power_w / kMegawatt : static_cast<double>(plan + 1);
}

// REQUIRES: all state their power. Points from left to right that are higher than all to their left: less power for the same would be another plan.
std::vector<const FoundPlan*> frontier(const std::vector<FoundPlan>& plans) {
  std::vector<const FoundPlan*> sorted;
  for (const FoundPlan& plan : plans) {
    if (!plan.baseline) sorted.push_back(&plan);
  }
  std::sort(sorted.begin(), sorted.end(), [](const FoundPlan* a, const FoundPlan* b) {
    return a->power_w != b->power_w ? a->power_w < b->power_w : a->objective > b->objective;
  });
  std::vector<const FoundPlan*> front;
  for (const FoundPlan* plan : sorted) {
    if (front.empty() || plan->objective > front.back()->objective) front.push_back(plan);
  }
  return front;
}

}  // namespace

FrontChart::FrontChart(QWidget* parent) : QWidget(parent), plot_(new QCustomPlot(this)) {
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, 0, 0, 0);
  column->addWidget(plot_);
  setAccessibleName(tr("Plans"));
  setAccessibleDescription(tr("One point a plan; the table has the numbers."));
  setMinimumSize(320, 190);
  plot_->installEventFilter(this);
  prepare_export(*plot_);
  follow_pixel_ratio(*plot_);
}

void FrontChart::show_search(const PlanSearch& search) {
  search_ = search;
  marked_ = -1;
  draw();
}

void FrontChart::mark(int plan) {
  marked_ = plan;
  draw();
}

void FrontChart::set_theme(const Theme& theme) {
  theme_ = &theme;
  draw();
}

void FrontChart::draw() {
  const Theme& t = *theme_;
  plot_->clearPlottables();
  plot_->clearItems();
  style_plot(*plot_, t);
  plot_->legend->clearItems();
  plot_->legend->setVisible(true);
  plot_->legend->setBrush(t.base);
  plot_->legend->setBorderPen(Qt::NoPen);
  plot_->legend->setTextColor(t.text);
  plot_->legend->setFont(font());
  plot_->axisRect()->insetLayout()->setInsetAlignment(0, Qt::AlignBottom | Qt::AlignRight);
  if (search_) {
    if (search_->front.empty()) {
      draw_plans();
    } else {
      draw_front();
    }
  }
  plot_->replot();
}

void FrontChart::draw_plans() {
  const Theme& t = *theme_;
  const auto scatter = [&](const QString& name, QCPScatterStyle::ScatterShape shape, const QColor& colour,
                           bool filled) {
    auto* graph = plot_->addGraph();
    graph->setLineStyle(QCPGraph::lsNone);
    graph->setScatterStyle(QCPScatterStyle(shape, QPen(colour, 1.6), filled ? QBrush(colour) : QBrush(t.base), 9));
    graph->setName(name);
    return graph;
  };
  const ObjectiveScale scale = objective_scale(*search_);
  const bool powered = all_state_power(*search_);
  if (powered) {
    auto* line = plot_->addGraph();
    line->setPen(QPen(t.axis, 1.2, Qt::DashLine));
    line->setName(tr("no plan beats these"));
    for (const FoundPlan* plan : frontier(search_->plans))
      line->addData(*plan->power_w / kMegawatt, plan->objective * scale.factor);
  }
  auto* plans = scatter(tr("found"), QCPScatterStyle::ssDisc, t.useful, true);
  auto* baselines = scatter(tr("baselines"), QCPScatterStyle::ssSquare, t.loss[1], false);
  for (std::size_t i = 0; i < search_->plans.size(); ++i) {
    const FoundPlan& plan = search_->plans[i];
    (plan.baseline ? baselines : plans)->addData(horizontal(*search_, i), plan.objective * scale.factor);
    if (static_cast<int>(i) != marked_) continue;
    auto* ring = plot_->addGraph();
    ring->setLineStyle(QCPGraph::lsNone);
    ring->setScatterStyle(QCPScatterStyle(QCPScatterStyle::ssCircle, QPen(t.text, 2), Qt::NoBrush, 17));
    ring->removeFromLegend();
    ring->addData(horizontal(*search_, i), plan.objective * scale.factor);
  }
  plot_->xAxis->setLabel(powered ? tr("power at most, MW") : tr("place in the table"));
  plot_->yAxis->setLabel(scale.unit.isEmpty() ? search_->objective : scale.unit);
  plot_->yAxis->setNumberFormat("gb");
  plot_->rescaleAxes();
  for (QCPAxis* axis : {plot_->xAxis, plot_->yAxis}) {
    QCPRange range = axis->range();
    const double pad = range.size() > 0.0 ? range.size() * 0.12 : std::max(std::abs(range.center()) * 0.1, 1e-9);
    axis->setRange(range.lower - pad, range.upper + pad);
  }
}

void FrontChart::draw_front() {
  const Theme& t = *theme_;
  auto* front = plot_->addGraph();
  front->setPen(QPen(t.useful, 1.4));
  front->setScatterStyle(QCPScatterStyle(QCPScatterStyle::ssDisc, QPen(t.useful), QBrush(t.useful), 7));
  front->setName(tr("no shape gives more"));
  auto* interval = new QCPErrorBars(plot_->xAxis, plot_->yAxis);
  interval->setDataPlottable(front);
  interval->setPen(QPen(t.useful, 1.0));
  interval->setName(tr("P10 – P90 of the draws"));
  for (const FrontPoint& point : search_->front) {
    front->addData(point.tokens_per_s_user, point.tokens_per_s_device);
    interval->addData(std::max(0.0, point.tokens_per_s_device - point.p10), std::max(0.0, point.p90 - point.tokens_per_s_device));
  }
  plot_->xAxis->setLabel(tr("output tokens/s for one user"));
  plot_->yAxis->setLabel(tr("output tokens/s of one GPU"));
  plot_->rescaleAxes();
  for (QCPAxis* axis : {plot_->xAxis, plot_->yAxis}) axis->scaleRange(1.15, axis->range().center());
  // The line falls to the right: above its end is room for the legend, once its begin lies below that.
  constexpr double kRoomAbove = 0.25;
  plot_->yAxis->setRangeUpper(plot_->yAxis->range().upper + kRoomAbove * plot_->yAxis->range().size());
  plot_->axisRect()->insetLayout()->setInsetAlignment(0, Qt::AlignTop | Qt::AlignRight);
}

int FrontChart::plan_at(const QPointF& position) const {
  if (!search_ || !search_->front.empty()) return -1;
  const double factor = objective_scale(*search_).factor;
  int best = -1;
  double least = kReach;
  for (std::size_t i = 0; i < search_->plans.size(); ++i) {
    const FoundPlan& plan = search_->plans[i];
    const double distance = std::hypot(plot_->xAxis->coordToPixel(horizontal(*search_, i)) - position.x(),
                                       plot_->yAxis->coordToPixel(plan.objective * factor) - position.y());
    if (distance >= least) continue;
    least = distance;
    best = static_cast<int>(i);
  }
  return best;
}

bool FrontChart::eventFilter(QObject* watched, QEvent* event) {
  if (watched == plot_ && event->type() == QEvent::ToolTip) {
    const auto* help = static_cast<QHelpEvent*>(event);
    const int i = plan_at(help->pos());
    if (i >= 0) {
      const FoundPlan& plan = search_->plans[static_cast<std::size_t>(i)];
      QToolTip::showText(help->globalPos(), plan.name + "\n" + plan.groups, plot_);
    } else {
      QToolTip::hideText();
    }
    return true;
  }
  if (watched == plot_ && event->type() == QEvent::MouseButtonRelease) {
    const int i = plan_at(static_cast<QMouseEvent*>(event)->position());
    if (i >= 0) emit plan_chosen(i);
  }
  return QWidget::eventFilter(watched, event);
}

QString FrontChart::export_to(const QString& file) {
  return export_in_light(theme_, [this] { draw(); }, [&] {
    return export_plot(*plot_, file, tr("Plans"), theme_->base);
  });
}

}  // namespace lindos::gui
