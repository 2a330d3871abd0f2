// SPDX-License-Identifier: GPL-3.0-or-later
// Spans on lanes over time. Wheel zooms at the cursor, Shift+wheel and the bar at the side move
// through the lanes, drag pans; W S zoom, A D pan, arrows walk from span to span, Enter or F fits
// the selected one, 0 all, Esc lets go.
#pragma once

#include <QScrollBar>
#include <QWidget>
#include <cstddef>
#include <memory>
#include <optional>

#include "gui/app/theme.h"
#include "gui/models/timeline_view.h"

class QCustomPlot;

namespace lindos::gui {

// Computing blue and purple, waiting orange, communication teal, the rest grey.
[[nodiscard]] QColor span_colour(SpanKind kind, const Theme& theme);

class TimelineChart : public QWidget {
  Q_OBJECT

 public:
  explicit TimelineChart(QWidget* parent = nullptr);

  // `subtitle` is written into exported pictures.
  void show_timeline(std::shared_ptr<const TimelineView> view, const QString& subtitle);
  void set_theme(const Theme& theme);
  void fit();
  void select(std::optional<std::size_t> span);
  // Zooms to the span with some room beside it.
  void zoom_to(std::size_t span);
  [[nodiscard]] std::optional<std::size_t> selected() const { return selected_; }
  [[nodiscard]] double from() const;  // seconds
  [[nodiscard]] double to() const;
  // Where a span is drawn, in this widget; its middle.
  [[nodiscard]] QPointF middle_of(std::size_t span) const;
  // As WaterfallChart::export_to.
  [[nodiscard]] QString export_to(const QString& file);

 signals:
  // What the pointer or the keyboard is at: position of the span, −1 for nothing.
  void looked_at(qlonglong span);
  void range_changed();

 protected:
  bool eventFilter(QObject* watched, QEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;

 private:
  void draw();
  void make_legend();
  void set_range(double from, double to);
  void scroll_rows(double rows);
  void place_rows();
  void bring_row_into_view();
  void resized();
  void label_rows();
  void hover(const QPointF& position);
  [[nodiscard]] std::optional<std::size_t> span_at(const QPointF& position) const;
  [[nodiscard]] bool wheel(QEvent* event);

  QCustomPlot* plot_;
  QScrollBar* bar_;
  std::shared_ptr<const TimelineView> view_;
  QString subtitle_;
  const Theme* theme_ = &light_theme();
  std::optional<std::size_t> selected_;
  std::optional<QPointF> dragged_from_;
  bool dragged_ = false;
  double first_row_ = 0.0;
};

}  // namespace lindos::gui
