// SPDX-License-Identifier: GPL-3.0-or-later
// One sampled quantity over time: a line per subject, the predicted value dashed with its band behind, gaps left open,
// markers and phases as upright lines. Charts that stand below each other have margins of equal width, so that time lines
// up. Drag moves and the wheel zooms the time, which the page gives to all charts.
#pragma once

#include <QWidget>
#include <optional>
#include <vector>

#include "gui/app/theme.h"
#include "gui/models/live_view.h"

class QCPPainter;
class QCustomPlot;

namespace lindos::gui {

struct LiveMark {
  double t_s = 0.0;
  QString text;
  bool own = false;  // set by the user; else a phase
};

class LiveChart : public QWidget {
  Q_OBJECT

 public:
  explicit LiveChart(const Metric& quantity, QWidget* parent = nullptr);

  void set_theme(const Theme& theme) { theme_ = &theme; }
  // Of which the page sets what has changed, then redraw().
  // `lines`: of so many `subjects` the worst, or all of them.
  void set_data(std::vector<LiveLine> lines, std::size_t subjects, const std::optional<LiveBand>& band);
  void set_marks(const std::vector<LiveMark>& marks) { marks_ = marks; }
  void set_range(double from, double to);
  void set_time_labels(bool shown) { time_labels_ = shown; }
  void redraw();
  // For a file: what is in sight and nothing beyond it, since QSvgGenerator drops clips.
  void paint_for_export(QCPPainter& painter);

  [[nodiscard]] const Metric& quantity() const { return quantity_; }
  // Some of it can be seen, or it was never drawn.
  [[nodiscard]] bool wants_drawing() const;
  [[nodiscard]] QString title() const { return title_; }
  // Points that the lines are drawn from, breaks not counted.
  [[nodiscard]] int drawn() const;
  // Times at which a line breaks off before more of it comes.
  [[nodiscard]] int gaps() const;

 signals:
  // The user moved or zoomed this chart's time.
  void range_moved(double from, double to);

 protected:
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  [[nodiscard]] QString text_at(double t_s) const;

  const Metric& quantity_;
  QCustomPlot* plot_;
  const Theme* theme_ = &light_theme();
  std::vector<LiveLine> lines_;
  std::size_t subjects_ = 0;
  std::optional<LiveBand> band_;
  std::vector<LiveMark> marks_;
  QString title_;
  bool time_labels_ = true;
  bool setting_ = false;  // the page sets the range
  bool exporting_ = false;
};

// The charts where they stand on their board of `size`, below a caption and `map`, if there is one. As export_painted.
[[nodiscard]] QString export_live(const std::vector<LiveChart*>& charts, QWidget* map, const QSize& size, const QString& caption,
                                  const Theme& theme, const QString& file);

}  // namespace lindos::gui
