// SPDX-License-Identifier: GPL-3.0-or-later
// The waterfall drawn: bars by cause, whiskers P10–P90, diamonds for the measured run, outlines for another one. Export as
// PNG, SVG, PDF.
#pragma once

#include <QWidget>
#include <optional>

#include "gui/app/theme.h"
#include "scenarios/waterfall.h"

class QCustomPlot;

namespace lindos::gui {

class WaterfallChart : public QWidget {
  Q_OBJECT

 public:
  explicit WaterfallChart(QWidget* parent = nullptr);

  [[nodiscard]] QSize sizeHint() const override { return {640, 380}; }
  // What is said of the bar at x: 0 the peak, then the steps.
  [[nodiscard]] QString text_at(double x) const;
  // `other`: the run that the waterfall's measured values are of, drawn as outlines; empty: the measured run, as diamonds.
  void set_waterfall(const Waterfall& waterfall, const QString& subtitle, const QString& other = {});
  void set_theme(const Theme& theme);
  // By the ending of `file`: .png (twice the size on screen), .svg, .pdf; always in the light theme. An error text, or
  // empty when written.
  [[nodiscard]] QString export_to(const QString& file);

  // What is drawn, for tests: upper and lower end of each bar, in percent, first the peak, last the useful share.
  struct Bar {
    double top = 0.0, bottom = 0.0;
  };
  [[nodiscard]] std::vector<Bar> bars() const { return drawn(false); }
  [[nodiscard]] std::vector<Bar> outlines() const { return drawn(true); }
  // Where a step's bar is, in the coordinates of this widget.
  [[nodiscard]] QPointF middle_of(std::size_t step) const;

 signals:
  // A step was clicked, or chosen with the arrows and Enter.
  void step_chosen(const lindos::WaterfallStep& step);

 protected:
  bool eventFilter(QObject* watched, QEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;

 private:
  void draw();
  [[nodiscard]] std::vector<Bar> drawn(bool outlined) const;
  void mark(int step);
  [[nodiscard]] int step_at(double x) const;  // −1: none

  QCustomPlot* plot_;
  const Theme* theme_ = &light_theme();
  std::optional<Waterfall> waterfall_;
  QString subtitle_, other_;
  int marked_ = -1;  // step under the keyboard
};

}  // namespace lindos::gui
