// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/charts/live_chart.h"

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
#include "gui/models/format.h"

namespace lindos::gui {

namespace {

constexpr int kLeft = 64;    // room for "1,234,567"
constexpr int kRight = 14;
constexpr int kTop = 24;     // the title
constexpr int kBottom = 20;  // time labels
constexpr double kRoom = 1.15;

}  // namespace

LiveChart::LiveChart(const Metric& quantity, QWidget* parent)
    : QWidget(parent), quantity_(quantity), plot_(new QCustomPlot(this)) {
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, 0, 0, 0);
  column->addWidget(plot_);
  setAccessibleName(to_qt(quantity.label));
  setAccessibleDescription(tr("%1 The table of this page has the numbers.").arg(to_qt(quantity.sentence)));
  setMinimumSize(280, 106);
  plot_->installEventFilter(this);
  plot_->setInteractions(QCP::iRangeDrag | QCP::iRangeZoom);
  plot_->axisRect()->setRangeDrag(Qt::Horizontal);
  plot_->axisRect()->setRangeZoom(Qt::Horizontal);
  plot_->axisRect()->setAutoMargins(QCP::msNone);
  plot_->setNoAntialiasingOnDrag(true);
  follow_pixel_ratio(*plot_);
  connect(plot_->xAxis, qOverload<const QCPRange&>(&QCPAxis::rangeChanged), this, [this](const QCPRange& range) {
    if (!setting_) emit range_moved(range.lower, range.upper);
  });
}

void LiveChart::set_data(std::vector<LiveLine> lines, std::size_t subjects, const std::optional<LiveBand>& band) {
  lines_ = std::move(lines);
  subjects_ = subjects;
  band_ = band;
}

void LiveChart::set_range(double from, double to) {
  setting_ = true;
  plot_->xAxis->setRange(from, to);
  setting_ = false;
}

void LiveChart::redraw() {
  const Theme& t = *theme_;
  style_plot(*plot_, t);
  plot_->clearGraphs();
  plot_->clearItems();
  plot_->axisRect()->setMargins(QMargins(kLeft, kTop, kRight, time_labels_ ? kBottom : 4));
  plot_->xAxis->setTickLabels(time_labels_);
  if (quantity_.display.empty()) {
    // A count has no halves.
    const QSharedPointer<QCPAxisTickerFixed> whole(new QCPAxisTickerFixed);
    whole->setTickStep(1.0);
    whole->setScaleStrategy(QCPAxisTickerFixed::ssMultiples);
    plot_->yAxis->setTicker(whole);
  }
  plot_->yAxis->ticker()->setTickCount(4);
  plot_->yAxis->setNumberFormat("gb");
  plot_->yAxis->setNumberPrecision(5);
  const QCPRange shown = plot_->xAxis->range();

  double most = band_ ? band_->high : 0.0;
  for (const LiveLine& line : lines_) {
    for (const double value : line.values) most = std::isnan(value) ? most : std::max(most, value);
  }
  // A share of everything is read against everything.
  if (quantity_.display == "%" && most > 50.0 && most <= 100.0) most = 100.0 / kRoom;
  plot_->yAxis->setRange(0.0, most > 0.0 ? most * kRoom : 1.0);

  if (band_) {
    auto* area = new QCPItemRect(plot_);
    area->topLeft->setTypeX(QCPItemPosition::ptAxisRectRatio);
    area->bottomRight->setTypeX(QCPItemPosition::ptAxisRectRatio);
    area->topLeft->setCoords(0.0, band_->high);
    area->bottomRight->setCoords(1.0, band_->low);
    QColor fill = t.muted;
    fill.setAlpha(40);
    area->setBrush(fill);
    area->setPen(Qt::NoPen);
    area->setLayer("grid");
    auto* middle = new QCPItemStraightLine(plot_);
    middle->point1->setCoords(0.0, band_->middle);
    middle->point2->setCoords(1.0, band_->middle);
    middle->setPen(QPen(t.muted, 1.4, Qt::DashLine));
  }
  for (const LiveMark& mark : marks_) {
    if (mark.t_s < shown.lower || mark.t_s > shown.upper) continue;
    auto* line = new QCPItemStraightLine(plot_);
    line->point1->setCoords(mark.t_s, 0.0);
    line->point2->setCoords(mark.t_s, 1.0);
    line->setPen(QPen(mark.own ? t.text : t.axis, 1, mark.own ? Qt::SolidLine : Qt::DotLine));
    auto* text = new QCPItemText(plot_);
    text->position->setTypeY(QCPItemPosition::ptAxisRectRatio);
    text->position->setCoords(mark.t_s, 0.0);
    text->setPositionAlignment(Qt::AlignLeft | Qt::AlignTop);
    text->setText(mark.text);
    text->setColor(mark.own ? t.text : t.muted);
    text->setPadding(QMargins(3, 0, 0, 0));
    QFont small = font();
    small.setPointSizeF(small.pointSizeF() * 0.85);
    text->setFont(small);
  }
  for (std::size_t l = 0; l < lines_.size(); ++l) {
    QCPGraph* graph = plot_->addGraph();
    const QColor colour = lines_.size() == 1 ? t.useful : kind_colour(l, t.dark);
    graph->setPen(QPen(colour, 1.6));
    graph->setData(QVector<double>(lines_[l].t_s.begin(), lines_[l].t_s.end()),
                   QVector<double>(lines_[l].values.begin(), lines_[l].values.end()), true);
    if (exporting_) {
      graph->data()->removeBefore(shown.lower);
      graph->data()->removeAfter(shown.upper);
    }
    // A value between two gaps would be a line without length.
    const bool broken = std::any_of(lines_[l].values.begin(), lines_[l].values.end(), [](double v) { return std::isnan(v); });
    if (broken || lines_[l].values.size() < 3) graph->setScatterStyle(QCPScatterStyle(QCPScatterStyle::ssDisc, colour, 4));
  }

  // The newest value of each line, the worst of them where they are many.
  std::optional<double> newest;
  for (const LiveLine& line : lines_) {
    const auto last = std::find_if(line.values.rbegin(), line.values.rend(), [](double v) { return !std::isnan(v); });
    if (last == line.values.rend()) continue;
    const bool least = quantity_.worst == Worst::kMin;
    newest = !newest ? *last : least ? std::min(*newest, *last) : std::max(*newest, *last);
  }
  title_ = to_qt(quantity_.label);
  if (newest) title_ += "  " + sampled_text(quantity_, *newest / quantity_.display_scale);
  if (newest && subjects_ > 1) title_ += tr(" (worst of %1)").arg(subjects_);
  // The unit stands beside the value.
  if (band_)
    title_ += tr("  ·  predicted %1")
                  .arg(sampled_text(quantity_, band_->middle / quantity_.display_scale).section(' ', 0, newest ? 0 : -1));
  auto* heading = new QCPItemText(plot_);
  heading->position->setType(QCPItemPosition::ptAbsolute);
  heading->position->setCoords(8, 3);
  heading->setPositionAlignment(Qt::AlignLeft | Qt::AlignTop);
  heading->setText(title_);
  heading->setColor(t.text);
  heading->setFont(font());
  heading->setClipToAxisRect(false);
  plot_->replot(QCustomPlot::rpQueuedReplot);
}

void LiveChart::paint_for_export(QCPPainter& painter) {
  exporting_ = true;
  redraw();
  plot_->toPainter(&painter, plot_->width(), plot_->height());
  exporting_ = false;
  redraw();
}

bool LiveChart::wants_drawing() const {
  // Of the plot, which covers this widget.
  return title_.isEmpty() || !plot_->visibleRegion().isEmpty();
}

int LiveChart::drawn() const {
  int points = 0;
  for (int i = 0; i < plot_->graphCount(); ++i) {
    for (const QCPGraphData& point : *plot_->graph(i)->data()) points += std::isnan(point.value) ? 0 : 1;
  }
  return points;
}

int LiveChart::gaps() const {
  int gaps = 0;
  for (int i = 0; i < plot_->graphCount(); ++i) {
    bool open = false;
    bool begun = false;
    for (const QCPGraphData& point : *plot_->graph(i)->data()) {
      const bool none = std::isnan(point.value);
      if (!none && open && begun) ++gaps;
      begun = begun || !none;
      open = none;
    }
  }
  return gaps;
}

QString LiveChart::text_at(double t_s) const {
  QString text = to_qt(quantity_.label) + tr(" at %1 s").arg(t_s, 0, 'f', 1);
  for (const LiveLine& line : lines_) {
    if (line.t_s.empty()) continue;
    const auto after = std::lower_bound(line.t_s.begin(), line.t_s.end(), t_s);
    auto at = static_cast<std::size_t>(after - line.t_s.begin());
    if (at == line.t_s.size() || (at > 0 && t_s - line.t_s[at - 1] < line.t_s[at] - t_s)) --at;
    text += "\n" + QString::fromStdString(line.subject) + ": " +
            (std::isnan(line.values[at]) ? tr("no value") : sampled_text(quantity_, line.values[at] / quantity_.display_scale));
  }
  if (band_)
    text += tr("\npredicted %1; band %2 – %3")
                .arg(sampled_text(quantity_, band_->middle / quantity_.display_scale),
                     sampled_text(quantity_, band_->low / quantity_.display_scale),
                     sampled_text(quantity_, band_->high / quantity_.display_scale));
  return text + "\n" + to_qt(quantity_.sentence);
}

bool LiveChart::eventFilter(QObject* watched, QEvent* event) {
  if (watched == plot_ && event->type() == QEvent::ToolTip) {
    const auto* help = static_cast<QHelpEvent*>(event);
    QToolTip::showText(help->globalPos(), text_at(plot_->xAxis->pixelToCoord(help->pos().x())), plot_);
    return true;
  }
  return QWidget::eventFilter(watched, event);
}

QString export_live(const std::vector<LiveChart*>& charts, QWidget* map, const QSize& size, const QString& caption,
                    const Theme& theme, const QString& file) {
  constexpr int kCaption = 26;
  const int map_height = map == nullptr ? 0 : map->height();
  return export_painted(size + QSize(0, kCaption + map_height), file, caption, theme.base, [&](QCPPainter& painter) {
    painter.setPen(theme.muted);
    painter.drawText(QPointF(8, 17), caption);
    painter.translate(0, kCaption);
    if (map != nullptr) map->render(&painter);
    painter.translate(0, map_height);
    for (LiveChart* chart : charts) {
      painter.save();
      painter.translate(chart->pos());
      chart->paint_for_export(painter);
      painter.restore();
    }
  });
}

}  // namespace lindos::gui
