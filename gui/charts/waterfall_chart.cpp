// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/charts/waterfall_chart.h"

#include <qcustomplot.h>

#include <QHelpEvent>
#include <QToolTip>
#include <QVBoxLayout>
#include <cmath>

#include "gui/charts/axis_style.h"
#include "gui/charts/chart_export.h"
#include "gui/charts/pixel_ratio.h"
#include "gui/models/format.h"

namespace lindos::gui {

namespace {

constexpr double kBarWidth = 0.64;
constexpr double kWhiskerAt = 0.2;   // right of the bar's middle
constexpr double kDiamondAt = -0.2;  // left of it
constexpr double kOutlineWidth = 0.8;

// Words on lines of at most `width` pixels, for tick labels; a longer word is divided.
QString wrapped_label(const QString& text, double width, const QFontMetricsF& metrics) {
  constexpr qsizetype kLeastPart = 3;  // letters on either side of a division
  QStringList lines{QString()};
  for (QString part : text.split(' ')) {
    const QString joined = lines.last() + " " + part;
    if (!lines.last().isEmpty() && metrics.horizontalAdvance(joined) <= width) {
      lines.last() = joined;
      continue;
    }
    if (!lines.last().isEmpty()) lines << QString();
    while (metrics.horizontalAdvance(part) > width && part.size() >= 2 * kLeastPart) {
      qsizetype fits = part.size() - kLeastPart;
      while (fits > kLeastPart && metrics.horizontalAdvance(part.left(fits) + "-") > width) --fits;
      lines.last() = part.left(fits) + "-";
      lines << QString();
      part.remove(0, fits);
    }
    lines.last() = part;
  }
  return lines.join('\n');
}

}  // namespace

WaterfallChart::WaterfallChart(QWidget* parent) : QWidget(parent), plot_(new QCustomPlot(this)) {
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, 0, 0, 0);
  column->addWidget(plot_);
  setAccessibleName(tr("Where the peak goes"));
  setAccessibleDescription(tr("Waterfall of losses; Show as table gives its numbers."));
  plot_->installEventFilter(this);
  prepare_export(*plot_);
  follow_pixel_ratio(*plot_);
  setMinimumSize(420, 200);
  setFocusPolicy(Qt::StrongFocus);
  plot_->setFocusProxy(this);
}

void WaterfallChart::set_waterfall(const Waterfall& waterfall, const QString& subtitle, const QString& other) {
  waterfall_ = waterfall;
  marked_ = -1;
  subtitle_ = subtitle;
  other_ = other;
  draw();
}

void WaterfallChart::set_theme(const Theme& theme) {
  theme_ = &theme;
  draw();
}

std::vector<WaterfallChart::Bar> WaterfallChart::drawn(bool outlined) const {
  std::vector<Bar> out;
  for (int i = 0; i < plot_->plottableCount(); ++i) {
    const auto* bar = qobject_cast<QCPBars*>(plot_->plottable(i));
    if (bar == nullptr || bar->data()->isEmpty() || (bar->brush().style() == Qt::NoBrush) != outlined) continue;
    const double bottom = bar->baseValue();
    out.push_back({bottom + bar->data()->at(0)->value, bottom});
  }
  return out;
}

void WaterfallChart::draw() {
  const Theme& t = *theme_;
  plot_->clearPlottables();
  plot_->clearItems();
  style_plot(*plot_, t);
  plot_->axisRect()->setAutoMargins(QCP::msAll);
  plot_->xAxis->grid()->setVisible(false);
  plot_->xAxis->setTickPen(Qt::NoPen);
  if (!waterfall_) {
    plot_->replot();
    return;
  }
  const Waterfall& w = *waterfall_;
  const int count = static_cast<int>(w.steps.size()) + 2;

  const auto add_bar = [&](int x, double top, double bottom, const QColor& colour) {
    auto* bar = new QCPBars(plot_->xAxis, plot_->yAxis);
    bar->setWidth(kBarWidth);
    bar->setPen(Qt::NoPen);
    bar->setBrush(colour);
    bar->setBaseValue(bottom * 100.0);
    bar->addData(x, (top - bottom) * 100.0);
    bar->removeFromLegend();
    return bar;
  };
  const auto add_text = [&](double x, double y, const QString& text, Qt::Alignment alignment, const QColor& colour,
                            bool bold) {
    auto* item = new QCPItemText(plot_);
    item->position->setCoords(x, y * 100.0);
    item->setPositionAlignment(alignment);
    item->setText(text);
    item->setColor(colour);
    item->setPadding(QMargins(0, 2, 0, 3));
    QFont bar_font = font();
    bar_font.setBold(bold);
    item->setFont(bar_font);
    item->setClipToAxisRect(false);
  };

  QSharedPointer<QCPAxisTickerText> names(new QCPAxisTickerText);
  constexpr double kBesideAxes = 90.0;  // pixels: title and numbers of the axis at the left
  const double slot = std::max(40.0, (plot_->width() - kBesideAxes) / count - 6.0);
  names->addTick(0, tr("Peak"));
  add_bar(0, 1.0, 0.0, t.peak);
  add_text(0, 1.0, "100 %", Qt::AlignHCenter | Qt::AlignBottom, t.text, true);

  plot_->legend->setVisible(false);
  plot_->legend->clearItems();
  std::array<bool, kLossGroups> named{};
  auto* whiskers_at = new QCPGraph(plot_->xAxis, plot_->yAxis);
  whiskers_at->setLineStyle(QCPGraph::lsNone);
  whiskers_at->removeFromLegend();
  auto* diamonds = new QCPGraph(plot_->xAxis, plot_->yAxis);
  diamonds->setLineStyle(QCPGraph::lsNone);
  diamonds->setScatterStyle(QCPScatterStyle(QCPScatterStyle::ssDiamond, QPen(t.measured, 1.4), QBrush(t.base), 9));
  diamonds->setName(tr("Measured"));
  diamonds->removeFromLegend();
  QCPBars* outlined = nullptr;  // one of them, for the legend
  // The share of the other run, from the top of the bar: one wrong step shifts no other.
  const auto mark_other = [&](int x, double from, double to) {
    if (other_.isEmpty()) {
      diamonds->addData(x + kDiamondAt, to * 100.0);
      return;
    }
    outlined = add_bar(x, from, to, Qt::black);
    outlined->setBrush(Qt::NoBrush);
    outlined->setPen(QPen(t.measured, 1.4));
    outlined->setWidth(kOutlineWidth);
  };
  QVector<double> below, above;
  const auto whisker = [&](double x, double level, double low, double high) {
    whiskers_at->addData(x, level * 100.0);
    below.push_back((level - low) * 100.0);
    above.push_back((high - level) * 100.0);
  };

  for (int i = 1; i + 1 < count; ++i) {
    const WaterfallStep& step = w.steps[static_cast<std::size_t>(i - 1)];
    const bool folded = step.causes.size() > 1;
    const auto group = static_cast<std::size_t>(step.group);
    QCPBars* bar = add_bar(i, step.before, step.after, folded ? t.folded : t.loss[group]);
    if (!folded && !named[group]) {
      named[group] = true;
      bar->setName(to_qt(label_of(step.group)));
      bar->addToLegend();
    }
    names->addTick(i, wrapped_label(to_qt(step.label), slot, QFontMetricsF(plot_->xAxis->tickLabelFont())));
    add_text(i, step.before, points(-step.share), Qt::AlignHCenter | Qt::AlignBottom, t.text, false);
    if (step.p10 && *step.p10 != *step.p90)
      whisker(i + kWhiskerAt, step.after, step.before - *step.p90, step.before - *step.p10);
    if (step.measured) mark_other(i, step.before, step.before - *step.measured);
    auto* line = new QCPItemLine(plot_);
    line->start->setCoords(i - 1 + kBarWidth / 2, step.before * 100.0);
    line->end->setCoords(i - kBarWidth / 2, step.before * 100.0);
    line->setPen(QPen(t.axis, 1, Qt::DashLine));
  }

  const int last = count - 1;
  names->addTick(last, tr("Useful"));
  add_bar(last, w.useful.share, 0.0, t.useful);
  auto* line = new QCPItemLine(plot_);
  line->start->setCoords(last - 1 + kBarWidth / 2, w.useful.share * 100.0);
  line->end->setCoords(last - kBarWidth / 2, w.useful.share * 100.0);
  line->setPen(QPen(t.axis, 1, Qt::DashLine));
  if (w.useful.p10 != w.useful.p90) whisker(last + kWhiskerAt, w.useful.share, w.useful.p10, w.useful.p90);
  if (w.measured_useful) {
    const double useful = *w.measured_useful;
    mark_other(last, useful, other_.isEmpty() ? useful : 0.0);
  }
  // Above the whisker, which may be longer than the bar, and above an outline.
  const double highest = std::max(w.useful.p90, outlined != nullptr ? w.measured_useful.value_or(0.0) : 0.0);
  add_text(last, std::max(w.useful.share, highest), percent(w.useful.share), Qt::AlignHCenter | Qt::AlignBottom,
           t.text, true);

  auto* errors = new QCPErrorBars(plot_->xAxis, plot_->yAxis);
  errors->setDataPlottable(whiskers_at);
  errors->setData(below, above);
  errors->setSymbolGap(0);  // the default hides short whiskers
  errors->setPen(QPen(t.text, 1.2));
  errors->setWhiskerWidth(7);
  errors->setName(tr("P10 – P90"));
  if (below.isEmpty()) errors->removeFromLegend();
  if (!diamonds->data()->isEmpty()) diamonds->addToLegend();
  if (outlined != nullptr) {
    outlined->setName(other_);
    outlined->addToLegend();
  }

  if (marked_ >= 0) {
    auto* frame = new QCPItemRect(plot_);
    const WaterfallStep& step = w.steps[static_cast<std::size_t>(marked_)];
    frame->topLeft->setCoords(marked_ + 1 - kBarWidth / 2 - 0.06, step.before * 100.0 + 0.8);
    frame->bottomRight->setCoords(marked_ + 1 + kBarWidth / 2 + 0.06, step.after * 100.0 - 0.8);
    frame->setPen(QPen(t.text, 1.6));
    frame->setBrush(Qt::NoBrush);
  }
  plot_->legend->setVisible(true);
  plot_->legend->setBrush(t.base);
  plot_->legend->setBorderPen(Qt::NoPen);
  plot_->legend->setTextColor(t.text);
  plot_->legend->setFont(font());
  plot_->legend->setIconSize(14, 15);
  plot_->axisRect()->insetLayout()->setInsetAlignment(0, Qt::AlignTop | Qt::AlignRight);
  plot_->xAxis->setTicker(names);
  plot_->xAxis->setRange(-0.6, last + 0.6);
  // Room for the text above the peak, and beside a short axis for a legend in one row.
  constexpr double kBelowAxis = 80.0;  // pixels: names of four lines
  constexpr double kText = 22.0;
  constexpr double kShort = 170.0;
  const double axis = std::max(60.0, plot_->height() - kBelowAxis);
  plot_->yAxis->setRange(0, std::max(109.0, 100.0 * axis / (axis - kText)));
  plot_->legend->setFillOrder(axis < kShort ? QCPLegend::foColumnsFirst : QCPLegend::foRowsFirst);
  QSharedPointer<QCPAxisTickerFixed> percents(new QCPAxisTickerFixed);
  percents->setTickStep(20);
  plot_->yAxis->setTicker(percents);
  const QString title = tr("Left of dense peak FLOP/s × time, %");
  const bool fits = QFontMetricsF(plot_->yAxis->labelFont()).horizontalAdvance(title) < axis;
  plot_->yAxis->setLabel(fits ? title : tr("Left of peak, %"));
  plot_->replot();
}

int WaterfallChart::step_at(double x) const {
  const int index = static_cast<int>(std::lround(x)) - 1;
  return waterfall_ && index >= 0 && index < static_cast<int>(waterfall_->steps.size()) ? index : -1;
}

QPointF WaterfallChart::middle_of(std::size_t step) const {
  const WaterfallStep& s = waterfall_->steps[step];
  const QPointF inside(plot_->xAxis->coordToPixel(static_cast<double>(step) + 1.0),
                       plot_->yAxis->coordToPixel((s.before + s.after) * 50.0));
  return plot_->mapTo(this, inside);
}

void WaterfallChart::mark(int step) {
  marked_ = step;
  draw();
  setAccessibleDescription(step >= 0 ? text_at(step + 1) : QString());
}

void WaterfallChart::keyPressEvent(QKeyEvent* event) {
  const int steps = waterfall_ ? static_cast<int>(waterfall_->steps.size()) : 0;
  if (steps > 0 && (event->key() == Qt::Key_Left || event->key() == Qt::Key_Right)) {
    const int by = event->key() == Qt::Key_Right ? 1 : -1;
    return mark(std::clamp(marked_ + by, 0, steps - 1));
  }
  if (marked_ >= 0 && (event->key() == Qt::Key_Return || event->key() == Qt::Key_Enter)) {
    emit step_chosen(waterfall_->steps[static_cast<std::size_t>(marked_)]);
    return;
  }
  QWidget::keyPressEvent(event);
}

QString WaterfallChart::text_at(double x) const {
  const int index = step_at(x);
  if (index < 0) return {};
  const WaterfallStep& step = waterfall_->steps[static_cast<std::size_t>(index)];
  QString text = tr("%1: %2 of peak").arg(to_qt(step.label), percent(step.share));
  if (step.p10 && *step.p10 != *step.p90) text += tr(" (P10–P90 %1)").arg(percent_interval(*step.p10, *step.p90));
  const QString whose = other_.isEmpty() ? tr("measured") : other_;
  if (step.measured) text += QString(", %1 %2").arg(whose, percent(*step.measured));
  return text + "\n" + to_qt(step.sentence);
}

bool WaterfallChart::eventFilter(QObject* watched, QEvent* event) {
  if (watched == plot_ && event->type() == QEvent::ToolTip) {
    const auto* help = static_cast<QHelpEvent*>(event);
    QToolTip::showText(help->globalPos(), text_at(plot_->xAxis->pixelToCoord(help->pos().x())), plot_);
    return true;
  }
  if (watched == plot_ && event->type() == QEvent::MouseButtonRelease) {
    const int step = step_at(plot_->xAxis->pixelToCoord(static_cast<QMouseEvent*>(event)->position().x()));
    if (step >= 0) {
      mark(step);
      emit step_chosen(waterfall_->steps[static_cast<std::size_t>(step)]);
    }
  }
  // Labels are wrapped to the width of a bar.
  if (watched == plot_ && event->type() == QEvent::Resize)
    QMetaObject::invokeMethod(this, &WaterfallChart::draw, Qt::QueuedConnection);
  return QWidget::eventFilter(watched, event);
}

QString WaterfallChart::export_to(const QString& file) {
  return export_in_light(theme_, [this] { draw(); }, [&] {
    auto* title = new QCPItemText(plot_);
    title->position->setType(QCPItemPosition::ptAxisRectRatio);
    title->position->setCoords(0.1, 0.0);
    title->setPositionAlignment(Qt::AlignLeft | Qt::AlignTop);
    title->setTextAlignment(Qt::AlignLeft);
    title->setText(subtitle_);
    title->setColor(theme_->muted);
    title->setClipToAxisRect(false);
    plot_->replot();

    return export_plot(*plot_, file, tr("Where the peak goes"), theme_->base);
  });
}

}  // namespace lindos::gui
