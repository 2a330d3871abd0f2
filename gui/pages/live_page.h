// SPDX-License-Identifier: GPL-3.0-or-later
// Live: a run as it happens, or the samples of one that ended. Three large numbers, small charts with one time axis, what
// was predicted behind them. Follows the newest sample until the time is moved; "Back to now" follows again.
#pragma once

#include <QComboBox>
#include <QElapsedTimer>
#include <QGridLayout>
#include <QLabel>
#include <QPushButton>
#include <QStackedWidget>
#include <QTimer>
#include <QWidget>
#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "gui/charts/live_chart.h"
#include "gui/charts/live_map.h"
#include "gui/models/live_view.h"
#include "gui/pages/table_view.h"

namespace lindos::gui {

class LivePage : public QWidget {
  Q_OBJECT

 public:
  explicit LivePage(QWidget* parent = nullptr);

  // A verb that will sample has started. `prediction`: of the same scenario and plan, if there is one.
  void begin(const QString& what, const std::optional<RunRecord>& prediction);
  // The prediction came with the run.
  void expect(const RunRecord& prediction);
  void add(const RunSample& sample);
  // The verb ended; what was sampled stays. `how`: what to say of it.
  void end(const QString& how);
  // Of a run in the store.
  void show_past(const QString& what, const RunSamples& samples, const std::optional<RunRecord>& prediction);
  void show_empty(const QString& text);
  void set_theme(const Theme& theme);
  void toggle_table();
  // At the newest sample.
  void mark();
  void follow();
  // Writes all samples as CSV, or the charts as PNG, SVG or PDF.
  void export_chart();
  // An error text, or empty when written.
  [[nodiscard]] QString export_to(const QString& file);
  // After so long without a sample the page says so.
  void set_patience(std::chrono::milliseconds patience) { patience_ = patience; }

  [[nodiscard]] QString empty_text() const { return empty_->text(); }
  [[nodiscard]] bool filled() const { return pages_->currentIndex() == 1; }
  [[nodiscard]] bool running() const { return running_; }
  [[nodiscard]] bool following() const { return following_; }
  [[nodiscard]] QString state() const { return state_->text(); }
  [[nodiscard]] QString alarm() const { return alarm_->isVisibleTo(this) ? alarm_->text() : QString(); }
  [[nodiscard]] QString number(std::size_t which) const { return numbers_[which].value->text(); }
  [[nodiscard]] const std::vector<LiveChart*>& charts() const { return charts_; }
  // Where some quantity has more subjects than lines can show.
  [[nodiscard]] bool shows_map() const { return mapped_->isVisibleTo(this); }
  [[nodiscard]] LiveMap& map() { return *map_; }
  [[nodiscard]] const LiveView& view() const { return view_; }
  [[nodiscard]] TableView& table() { return *table_; }
  [[nodiscard]] std::pair<double, double> range() const { return {from_, to_}; }

 signals:
  void export_failed(const QString& message);

 protected:
  void keyPressEvent(QKeyEvent* event) override;
  void showEvent(QShowEvent* event) override;

 private:
  struct Number {
    QLabel* label;
    QLabel* value;
    QLabel* note;
  };
  void start(const QString& what);
  void refresh();  // what has changed, as far as it is in sight
  void place_charts();
  void show_map();
  void set_range(double from, double to);
  void move_range(double by, double zoom);
  void say_state();
  [[nodiscard]] QString export_picture(const QString& file);

  LiveView view_;
  const Theme* theme_ = &light_theme();
  QStackedWidget* pages_;
  QLabel* empty_;
  QLabel* what_;
  QLabel* state_;
  QLabel* alarm_;
  std::array<Number, 3> numbers_{};
  QPushButton* back_;
  QPushButton* as_table_;
  QStackedWidget* picture_;
  QWidget* mapped_;  // map and what it shows
  QComboBox* map_of_;
  LiveMap* map_;
  QWidget* board_;
  QGridLayout* grid_;
  TableView* table_;
  QLabel* absences_;
  std::vector<LiveChart*> charts_;
  std::vector<LiveMark> marks_;
  QTimer timer_;
  QElapsedTimer since_sample_;
  std::chrono::milliseconds patience_{5000};
  bool running_ = false;
  bool following_ = true;
  bool changed_ = false;
  double from_ = 0.0, to_ = 30.0;
  QString ended_;
};

}  // namespace lindos::gui
