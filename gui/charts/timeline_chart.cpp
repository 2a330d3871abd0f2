// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/charts/timeline_chart.h"

#include <QHBoxLayout>
#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <utility>

#include <qcustomplot.h>

#include "gui/charts/axis_style.h"
#include "gui/charts/chart_export.h"
#include "gui/charts/pixel_ratio.h"
#include "gui/models/format.h"

namespace lindos::gui {

namespace {

constexpr double kLeastRow = 17.0;  // pixels of a row
constexpr double kMostRow = 34.0;
constexpr double kReach = 4.0;      // pixels beside a span in which it is meant
constexpr double kShortest = 1e-8;  // seconds in view, at least
constexpr double kZoomStep = 1.25;
constexpr double kHatched = 8.0;  // pixels from which lines can be told

// Time in the unit that suits what is in view.
class TimeTicker : public QCPAxisTicker {
 public:
  void set_unit(double factor) { factor_ = factor; }

 protected:
  QString getTickLabel(double tick, const QLocale& /*locale*/, QChar /*format*/,
                       int /*precision*/) override {
    return QString::number(tick * factor_, 'g', 9);
  }

 private:
  double factor_ = 1.0;
};

std::pair<double, QString> unit_for(double span) {
  if (span < 2e-3) return {1e6, "µs"};
  if (span < 2.0) return {1e3, "ms"};
  return {1.0, "s"};
}

// "3" of "forward of micro-batch 3, chunk 1": what fits where the name does not.
QString number_in(const std::string& name) {
  const std::size_t from = name.find_first_of("0123456789");
  if (from == std::string::npos) return {};
  return QString::fromStdString(
      name.substr(from, name.find_first_not_of("0123456789", from) - from));
}

// What does not compute is hatched: its colour is not all that tells it.
Qt::BrushStyle pattern_of(SpanKind kind) {
  switch (kind) {
    case SpanKind::kBubble:
    case SpanKind::kQueued:
      return Qt::BDiagPattern;
    case SpanKind::kStepWait:
      return Qt::DiagCrossPattern;
    case SpanKind::kLinkSharing:
      return Qt::FDiagPattern;
    default:
      return Qt::SolidPattern;
  }
}

// Whether rows lie above the view: then the top row shows their group's title instead of spans.
bool scrolled(const QCPRange& rows) { return rows.lower > 1e-9; }

class SpanPlottable : public QCPAbstractPlottable {
 public:
  SpanPlottable(QCPAxis* x, QCPAxis* y) : QCPAbstractPlottable(x, y) { removeFromLegend(); }

  void set(const TimelineView* view, const Theme* theme, std::optional<std::size_t> selected) {
    view_ = view;
    theme_ = theme;
    selected_ = selected;
  }
  double selectTest(const QPointF&, bool, QVariant*) const override { return -1.0; }
  QCPRange getKeyRange(bool& found, QCP::SignDomain) const override {
    found = view_ != nullptr;
    return found ? QCPRange(0.0, view_->end()) : QCPRange();
  }
  QCPRange getValueRange(bool& found, QCP::SignDomain, const QCPRange&) const override {
    found = view_ != nullptr;
    return found ? QCPRange(0.0, static_cast<double>(view_->rows().size())) : QCPRange();
  }

 protected:
  void drawLegendIcon(QCPPainter*, const QRectF&) const override {}
  void draw(QCPPainter* painter) override {
    if (view_ == nullptr) return;
    painter->setAntialiasing(false);
    const QCPRange x = mKeyAxis->range();
    const QRectF area(mParentPlot->axisRect()->rect());
    const double pixel = x.size() / std::max(1.0, area.width());
    const auto& rows = view_->rows();
    const auto first =
        static_cast<std::size_t>(std::max(0.0, std::floor(mValueAxis->range().lower)));
    const auto last = std::min(
        rows.size(), static_cast<std::size_t>(std::max(0.0, std::ceil(mValueAxis->range().upper))));
    for (std::size_t r = first; r < last; ++r) {
      const double top = mValueAxis->coordToPixel(static_cast<double>(r));
      const double height = mValueAxis->coordToPixel(static_cast<double>(r) + 1.0) - top;
      const QRectF row(area.left(), top, area.width(), height);
      if (rows[r].lane < 0) {
        draw_title(painter, row.intersected(area), rows[r].text);
        continue;
      }
      draw_lane(painter, static_cast<std::size_t>(rows[r].lane), row.adjusted(0, 1.5, 0, -1.5),
                area, x, pixel);
    }
    if (!scrolled(mValueAxis->range()) || first >= rows.size()) return;
    // The group of what follows stays in view while its title is above.
    const double height = mValueAxis->coordToPixel(1.0) - mValueAxis->coordToPixel(0.0);
    const QRectF strip(area.left(), area.top(), area.width(), height);
    painter->fillRect(strip, theme_->base);
    draw_title(painter, strip, view_->group_of_row(std::min(rows.size() - 1, first + 1)));
  }

 private:
  void draw_title(QCPPainter* painter, const QRectF& row, const QString& text) const {
    painter->fillRect(row, theme_->window);
    QFont bold = mParentPlot->font();
    bold.setBold(true);
    painter->setFont(bold);
    painter->setPen(QPen(theme_->text));
    const QString shown = QFontMetricsF(bold).elidedText(text, Qt::ElideRight, row.width() - 8);
    if (row.height() >= QFontMetricsF(bold).ascent())
      painter->drawText(row.adjusted(4, 0, -4, 0), Qt::AlignVCenter | Qt::AlignLeft, shown);
  }

  void draw_lane(QCPPainter* painter, std::size_t lane, const QRectF& row, const QRectF& area,
                 const QCPRange& x, double pixel) const {
    // Cut here: what is exported as SVG keeps no clips.
    const QRectF inside = row.intersected(area);
    if (inside.height() <= 0.0) return;
    const QFontMetricsF metrics(mParentPlot->font());
    const TextSizes sizes{metrics.averageCharWidth(), metrics.horizontalAdvance('0')};
    painter->setFont(mParentPlot->font());
    const bool names = inside.height() >= metrics.height() - 2;
    for (const TimelineBar& bar : view_->bars(lane, x.lower, x.upper, pixel)) {
      const double left = std::max(area.left(), mKeyAxis->coordToPixel(bar.from));
      const double right = std::min(area.right(), mKeyAxis->coordToPixel(bar.to));
      const QRectF box(left, inside.top(), std::max(1.0, right - left), inside.height());
      const QColor colour = span_colour(bar.kind, *theme_);
      const Qt::BrushStyle pattern = pattern_of(bar.kind);
      const bool idle = pattern != Qt::SolidPattern;
      if (idle) {
        QColor pale = colour;
        const bool narrow = box.width() < kHatched;  // too narrow to tell lines
        pale.setAlpha(narrow ? 110 : theme_->dark ? 70 : 55);
        painter->fillRect(box, pale);
        if (!narrow) hatch(painter, box, colour, pattern);
      } else {
        painter->fillRect(box, colour);
      }
      if (box.width() > 4.0) {
        // A line of ground between neighbours.
        painter->setPen(QPen(theme_->base, 1));
        painter->drawLine(box.topRight(), box.bottomRight());
      }
      if (bar.span && !idle && names) draw_name(painter, *bar.span, box, colour, sizes);
      if (bar.span && selected_ == bar.span) frame(painter, box);
    }
    for (const std::size_t i : view_->moments(lane, x.lower, x.upper)) {
      const double at = mKeyAxis->coordToPixel(view_->timeline().spans[i].start.count());
      if (at < area.left() || at > area.right()) continue;
      const double half = std::min(5.0, inside.height() / 2);
      painter->setPen(Qt::NoPen);
      painter->setBrush(theme_->text);
      painter->drawPolygon(QPolygonF(
          {{at - half, inside.top()}, {at + half, inside.top()}, {at, inside.top() + 2 * half}}));
      painter->setBrush(Qt::NoBrush);
      if (selected_ == i) frame(painter, {at - half, inside.top(), 2 * half, inside.height()});
    }
  }

  struct TextSizes {
    double average = 1.0, digit = 1.0;  // width of a character
  };

  // Lines of one slope or both, on a grid of their own, so that neighbours fit. Not a brush: SVG
  // viewers drop those.
  static void hatch(QCPPainter* painter, const QRectF& box, const QColor& colour,
                    Qt::BrushStyle pattern) {
    constexpr double kApart = 6.0;
    QColor line = colour;
    line.setAlpha(170);
    painter->setPen(QPen(line, 1));
    const double height = box.height();
    for (double x = std::floor((box.left() - height) / kApart) * kApart; x < box.right();
         x += kApart) {
      const double from = std::max(box.left(), x);
      const double to = std::min(box.right(), x + height);
      if (to <= from) continue;
      if (pattern != Qt::FDiagPattern)
        painter->drawLine(QLineF(from, box.bottom() - (from - x), to, box.bottom() - (to - x)));
      if (pattern != Qt::BDiagPattern)
        painter->drawLine(QLineF(from, box.top() + (from - x), to, box.top() + (to - x)));
    }
  }

  // Estimated: measuring thousands of texts would take longer than drawing all the rest.
  void draw_name(QCPPainter* painter, std::size_t span, const QRectF& box, const QColor& ground,
                 const TextSizes& sizes) const {
    if (box.width() < sizes.digit + 4) return;
    const std::string& full = view_->timeline().spans[span].name;
    const bool whole = static_cast<double>(full.size()) * sizes.average * 1.1 < box.width() - 6;
    const QString name = whole ? QString::fromStdString(full) : number_in(full);
    if (name.isEmpty() ||
        (!whole && static_cast<double>(name.size()) * sizes.digit > box.width() - 3))
      return;
    painter->setPen(
        QPen(contrast(ground, Qt::white) > contrast(ground, Qt::black) ? Qt::white : Qt::black));
    painter->drawText(box, Qt::AlignCenter, name);
  }

  void frame(QCPPainter* painter, const QRectF& box) const {
    painter->setBrush(Qt::NoBrush);
    painter->setPen(QPen(theme_->base, 4));
    painter->drawRect(box);
    painter->setPen(QPen(theme_->text, 2));
    painter->drawRect(box);
  }

  const TimelineView* view_ = nullptr;
  const Theme* theme_ = nullptr;
  std::optional<std::size_t> selected_;
};

SpanPlottable* spans_of(QCustomPlot* plot) {
  for (int i = 0; i < plot->plottableCount(); ++i) {
    if (auto* spans = dynamic_cast<SpanPlottable*>(plot->plottable(i))) return spans;
  }
  return nullptr;
}

}  // namespace

QColor span_colour(SpanKind kind, const Theme& theme) {
  switch (kind) {
    case SpanKind::kForward:
    case SpanKind::kPrefill:
    case SpanKind::kPrefillStep:
      return theme.useful;
    case SpanKind::kBackward:
    case SpanKind::kDecode:
    case SpanKind::kDecodeStep:
      return theme.loss[static_cast<std::size_t>(LossGroup::kOnDevice)];
    case SpanKind::kBubble:
    case SpanKind::kStepWait:
    case SpanKind::kQueued:
      return theme.loss[static_cast<std::size_t>(LossGroup::kWaiting)];
    case SpanKind::kOptimizer:
      return theme.loss[static_cast<std::size_t>(LossGroup::kAvailability)];
    case SpanKind::kExchange:
    case SpanKind::kLinkSharing:
    case SpanKind::kSend:
      return theme.loss[static_cast<std::size_t>(LossGroup::kCommunication)];
    case SpanKind::kArrival:
      return theme.text;
  }
  return theme.text;
}

TimelineChart::TimelineChart(QWidget* parent)
    : QWidget(parent), plot_(new QCustomPlot(this)), bar_(new QScrollBar(Qt::Vertical)) {
  auto* line = new QHBoxLayout(this);
  line->setContentsMargins(0, 0, 0, 0);
  line->setSpacing(0);
  line->addWidget(plot_, 1);
  line->addWidget(bar_);
  setAccessibleName(tr("Timeline"));
  setAccessibleDescription(tr("Spans on lanes over time; Show as table has them as text."));
  bar_->setAccessibleName(tr("Lanes in view"));
  setFocusPolicy(Qt::StrongFocus);
  plot_->setFocusProxy(this);
  setMinimumSize(420, 200);
  plot_->setMouseTracking(true);
  plot_->installEventFilter(this);
  prepare_export(*plot_);
  follow_pixel_ratio(*plot_);
  new SpanPlottable(plot_->xAxis, plot_->yAxis);
  plot_->xAxis->setTicker(QSharedPointer<QCPAxisTicker>(new TimeTicker));
  plot_->yAxis->setRangeReversed(true);
  plot_->yAxis->setTickLength(0);
  plot_->yAxis->grid()->setVisible(false);
  legend_above(*plot_);
  plot_->legend->setMargins(QMargins(7, 4, 7, 8));
  connect(bar_, &QScrollBar::valueChanged, this, [this](int value) {
    first_row_ = value / 10.0;
    place_rows();
    plot_->replot(QCustomPlot::rpQueuedReplot);
  });
}

void TimelineChart::show_timeline(std::shared_ptr<const TimelineView> view,
                                  const QString& subtitle) {
  view_ = std::move(view);
  subtitle_ = subtitle;
  selected_.reset();
  first_row_ = 0.0;
  draw();
  fit();
}

void TimelineChart::set_theme(const Theme& theme) {
  theme_ = &theme;
  draw();
}

double TimelineChart::from() const { return plot_->xAxis->range().lower; }
double TimelineChart::to() const { return plot_->xAxis->range().upper; }

void TimelineChart::make_legend() {
  plot_->legend->clearItems();
  for (int i = plot_->plottableCount() - 1; i >= 0; --i) {
    if (dynamic_cast<SpanPlottable*>(plot_->plottable(i)) == nullptr) plot_->removePlottable(i);
  }
  plot_->legend->setVisible(view_ != nullptr);
  if (!view_) return;
  std::set<SpanKind> kinds;
  for (const TimelineSpan& span : view_->timeline().spans) kinds.insert(span.kind);
  for (const SpanKind kind : kinds) {
    if (kind == SpanKind::kArrival) {
      auto* marks = new QCPGraph(plot_->xAxis, plot_->yAxis);
      marks->setLineStyle(QCPGraph::lsNone);
      marks->setScatterStyle(QCPScatterStyle(QCPScatterStyle::ssTriangleInverted,
                                             QPen(theme_->text), QBrush(theme_->text), 8));
      marks->setName(to_qt(info_of(kind).label));
      marks->addToLegend();
      continue;
    }
    auto* chip = new QCPBars(plot_->xAxis, plot_->yAxis);
    const QColor colour = span_colour(kind, *theme_);
    chip->setBrush(QBrush(colour, pattern_of(kind)));
    chip->setPen(QPen(colour));
    chip->setName(to_qt(info_of(kind).label));
    chip->addToLegend();
  }
  plot_->legend->setTextColor(theme_->text);
  plot_->legend->setFont(font());
}

void TimelineChart::draw() {
  const Theme& t = *theme_;
  style_plot(*plot_, t);
  spans_of(plot_)->set(view_.get(), theme_, selected_);
  make_legend();
  place_rows();
  plot_->replot(QCustomPlot::rpQueuedReplot);
}

void TimelineChart::place_rows() {
  if (!view_) return;
  const auto rows = static_cast<double>(view_->rows().size());
  const double height = std::max(1, plot_->axisRect()->height());
  const double each = std::clamp(height / std::max(1.0, rows), kLeastRow, kMostRow);
  const double seen = height / each;
  first_row_ = std::clamp(first_row_, 0.0, std::max(0.0, rows - seen));
  plot_->yAxis->setRange(first_row_, first_row_ + seen);
  const QSignalBlocker quiet(bar_);
  bar_->setRange(0, static_cast<int>(std::ceil(std::max(0.0, rows - seen) * 10.0)));
  bar_->setPageStep(static_cast<int>(seen * 10.0));
  bar_->setSingleStep(10);
  bar_->setValue(static_cast<int>(std::lround(first_row_ * 10.0)));
  bar_->setVisible(rows > seen);
  label_rows();
}

void TimelineChart::label_rows() {
  QSharedPointer<QCPAxisTickerText> names(new QCPAxisTickerText);
  const QCPRange seen = plot_->yAxis->range();
  const QFontMetricsF metrics(plot_->yAxis->tickLabelFont());
  for (std::size_t r = 0; r < view_->rows().size(); ++r) {
    const double middle = static_cast<double>(r) + 0.5;
    if (middle < seen.lower + (scrolled(seen) ? 1.0 : 0.0) || middle > seen.upper ||
        view_->rows()[r].lane < 0)
      continue;
    names->addTick(middle, metrics.elidedText(view_->rows()[r].text, Qt::ElideMiddle, 150));
  }
  plot_->yAxis->setTicker(names);
  const auto [factor, unit] = unit_for(plot_->xAxis->range().size());
  qSharedPointerCast<TimeTicker>(plot_->xAxis->ticker())->set_unit(factor);
  plot_->xAxis->setLabel(tr("time, %1").arg(unit));
}

void TimelineChart::fit() {
  if (!view_) return;
  first_row_ = 0.0;
  set_range(0.0, std::max(view_->end(), kShortest));
}

void TimelineChart::set_range(double from, double to) {
  if (!view_) return;
  const double whole = std::max(view_->end(), kShortest);
  const double length = std::clamp(to - from, std::min(kShortest, whole), whole * 1.02);
  const double middle = (from + to) / 2;
  const double begin = std::clamp(middle - length / 2, -0.01 * whole,
                                  std::max(-0.01 * whole, 1.01 * whole - length));
  plot_->xAxis->setRange(begin, begin + length);
  place_rows();
  plot_->replot(QCustomPlot::rpQueuedReplot);
  emit range_changed();
}

void TimelineChart::scroll_rows(double rows) {
  first_row_ += rows;
  place_rows();
  plot_->replot(QCustomPlot::rpQueuedReplot);
}

void TimelineChart::select(std::optional<std::size_t> span) {
  selected_ = span;
  spans_of(plot_)->set(view_.get(), theme_, selected_);
  if (span) {
    const TimelineSpan& chosen = view_->timeline().spans[*span];
    bring_row_into_view();
    const double length = to() - from();
    if (chosen.end().count() < from() || chosen.start.count() > to()) {
      const double middle = (chosen.start + chosen.duration * 0.5).count();
      set_range(middle - length / 2, middle + length / 2);
    }
    setAccessibleDescription(QString::fromStdString(chosen.name + ", " + chosen.cause));
  }
  place_rows();
  plot_->replot(QCustomPlot::rpQueuedReplot);
  emit looked_at(span ? static_cast<qlonglong>(*span) : -1);
}

// As little as needed.
void TimelineChart::bring_row_into_view() {
  const double row = view_->row_of_lane(view_->timeline().spans[*selected_].lane);
  const QCPRange seen = plot_->yAxis->range();
  if (row < seen.lower + (scrolled(seen) ? 1.0 : 0.0)) first_row_ = std::max(0.0, row - 1.0);
  if (row + 1.0 > seen.upper) first_row_ = row + 1.0 - seen.size();
}

void TimelineChart::resized() {
  if (view_ && selected_) {
    place_rows();
    bring_row_into_view();
  }
  draw();
}

void TimelineChart::zoom_to(std::size_t span) {
  const TimelineSpan& chosen = view_->timeline().spans[span];
  const double room = chosen.duration.count() > 0.0 ? chosen.duration.count() : (to() - from()) / 8;
  set_range(chosen.start.count() - room, chosen.end().count() + room);
}

QPointF TimelineChart::middle_of(std::size_t span) const {
  const TimelineSpan& s = view_->timeline().spans[span];
  const QPointF inside(plot_->xAxis->coordToPixel((s.start + s.duration * 0.5).count()),
                       plot_->yAxis->coordToPixel(view_->row_of_lane(s.lane) + 0.5));
  return plot_->mapTo(this, inside);
}

std::optional<std::size_t> TimelineChart::span_at(const QPointF& position) const {
  if (!view_ || !plot_->axisRect()->rect().contains(position.toPoint())) return std::nullopt;
  const double at = plot_->yAxis->pixelToCoord(position.y());
  const QCPRange seen = plot_->yAxis->range();
  if (scrolled(seen) && at < seen.lower + 1.0) return std::nullopt;
  const double row = std::floor(at);
  if (row < 0.0 || row >= static_cast<double>(view_->rows().size())) return std::nullopt;
  const int lane = view_->rows()[static_cast<std::size_t>(row)].lane;
  if (lane < 0) return std::nullopt;
  const double reach =
      kReach * plot_->xAxis->range().size() / std::max(1, plot_->axisRect()->width());
  return view_->span_at(static_cast<std::size_t>(lane), plot_->xAxis->pixelToCoord(position.x()),
                        reach);
}

void TimelineChart::hover(const QPointF& position) {
  const auto found = span_at(position);
  const auto shown = found ? found : selected_;
  emit looked_at(shown ? static_cast<qlonglong>(*shown) : -1);
}

bool TimelineChart::wheel(QEvent* event) {
  const auto* turned = static_cast<QWheelEvent*>(event);
  const double steps = turned->angleDelta().y() / 120.0;
  if (turned->modifiers() & Qt::ShiftModifier) {
    scroll_rows(-3.0 * (steps != 0.0 ? steps : turned->angleDelta().x() / 120.0));
    return true;
  }
  const double at = plot_->xAxis->pixelToCoord(turned->position().x());
  const double factor = std::pow(kZoomStep, -steps);
  set_range(at - (at - from()) * factor, at + (to() - at) * factor);
  return true;
}

bool TimelineChart::eventFilter(QObject* watched, QEvent* event) {
  if (watched != plot_ || !view_) return QWidget::eventFilter(watched, event);
  const auto position = [event] { return static_cast<QMouseEvent*>(event)->position(); };
  switch (event->type()) {
    case QEvent::Wheel:
      return wheel(event);
    case QEvent::MouseButtonPress:
      setFocus(Qt::MouseFocusReason);
      dragged_from_ = position();
      dragged_ = false;
      return true;
    case QEvent::MouseMove:
      if (!dragged_from_) {
        hover(position());
        return true;
      }
      if (dragged_ || (position() - *dragged_from_).manhattanLength() > 4) {
        const QPointF moved = position() - *dragged_from_;
        const double seconds =
            moved.x() * plot_->xAxis->range().size() / std::max(1, plot_->axisRect()->width());
        first_row_ -=
            moved.y() * plot_->yAxis->range().size() / std::max(1, plot_->axisRect()->height());
        set_range(from() - seconds, to() - seconds);
        dragged_from_ = position();
        dragged_ = true;
      }
      return true;
    case QEvent::MouseButtonRelease:
      if (!dragged_) select(span_at(position()));
      dragged_from_.reset();
      return true;
    case QEvent::MouseButtonDblClick:
      if (const auto span = span_at(position())) {
        select(span);
        zoom_to(*span);
      }
      return true;
    case QEvent::Leave:
      emit looked_at(selected_ ? static_cast<qlonglong>(*selected_) : -1);
      break;
    case QEvent::Resize:
      QMetaObject::invokeMethod(this, &TimelineChart::resized, Qt::QueuedConnection);
      break;
    default:
      break;
  }
  return QWidget::eventFilter(watched, event);
}

void TimelineChart::keyPressEvent(QKeyEvent* event) {
  if (!view_ || view_->timeline().spans.empty()) return QWidget::keyPressEvent(event);
  const double length = to() - from();
  const double middle = (from() + to()) / 2;
  const auto zoom = [&](double factor) {
    set_range(middle - length / 2 * factor, middle + length / 2 * factor);
  };
  const auto walk = [&](const std::optional<std::size_t>& next) {
    if (!selected_) {
      // Starts with what is seen first.
      const auto row = static_cast<std::size_t>(std::max(0.0, std::ceil(first_row_)));
      for (std::size_t r = row; r < view_->rows().size(); ++r) {
        if (view_->rows()[r].lane < 0) continue;
        if (const auto span =
                view_->span_at(static_cast<std::size_t>(view_->rows()[r].lane), from(), length))
          return select(span);
      }
      return;
    }
    if (next) select(next);
  };
  switch (event->key()) {
    case Qt::Key_W:
    case Qt::Key_Plus:
      return zoom(1.0 / kZoomStep);
    case Qt::Key_S:
    case Qt::Key_Minus:
      return zoom(kZoomStep);
    case Qt::Key_A:
      return set_range(from() - length / 6, to() - length / 6);
    case Qt::Key_D:
      return set_range(from() + length / 6, to() + length / 6);
    case Qt::Key_Left:
      return walk(selected_ ? view_->neighbour(*selected_, -1) : std::nullopt);
    case Qt::Key_Right:
      return walk(selected_ ? view_->neighbour(*selected_, 1) : std::nullopt);
    case Qt::Key_Up:
      return walk(selected_ ? view_->across(*selected_, -1) : std::nullopt);
    case Qt::Key_Down:
      return walk(selected_ ? view_->across(*selected_, 1) : std::nullopt);
    case Qt::Key_PageUp:
      return scroll_rows(-plot_->yAxis->range().size());
    case Qt::Key_PageDown:
      return scroll_rows(plot_->yAxis->range().size());
    case Qt::Key_Return:
    case Qt::Key_Enter:
    case Qt::Key_F:
      if (selected_) zoom_to(*selected_);
      return;
    case Qt::Key_0:
    case Qt::Key_Home:
      return fit();
    case Qt::Key_Escape:
      return select(std::nullopt);
    default:
      return QWidget::keyPressEvent(event);
  }
}

QString TimelineChart::export_to(const QString& file) {
  return export_in_light(theme_, [this] { draw(); }, [&] {
    return export_captioned(*plot_, subtitle_, theme_->muted, file, tr("Timeline"), theme_->base);
  });
}

}  // namespace lindos::gui
