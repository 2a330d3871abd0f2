// SPDX-License-Identifier: GPL-3.0-or-later
// Timeline: the spans of a run, what the pointer is at, and the spans in view as a table.
#pragma once

#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QStackedWidget>
#include <QWidget>
#include <memory>

#include "gui/charts/timeline_chart.h"
#include "gui/pages/table_view.h"

namespace lindos::gui {

// A timeline and what it is called where it stands with another one.
struct TimelineBand {
  std::shared_ptr<const RunTimeline> timeline;
  QString name;
};

class TimelinePage : public QWidget {
  Q_OBJECT

 public:
  explicit TimelinePage(QWidget* parent = nullptr);

  // `whose`: "run 12", or the name of a file. `measured` stands below; either may be null, not both.
  void show_timeline(const std::shared_ptr<const RunTimeline>& timeline, const QString& whose,
                     const std::shared_ptr<const RunTimeline>& measured = nullptr);
  // One below the other on the same axis. REQUIRES: neither is null.
  void show_bands(const TimelineBand& above, const TimelineBand& below, const QString& title);
  // `can_make`: the button that asks for one is shown.
  void show_empty(const QString& text, bool can_make);
  void set_theme(const Theme& theme);
  void toggle_table();
  void export_chart();
  void focus_find();
  // Selects and shows the next span with this text; false: there is none.
  bool find(const QString& text);

  [[nodiscard]] bool filled() const { return view_ != nullptr; }
  [[nodiscard]] QString empty_text() const { return empty_->text(); }
  [[nodiscard]] bool can_make() const { return !make_->isHidden(); }
  [[nodiscard]] QString details() const { return details_->text(); }
  [[nodiscard]] TimelineChart& chart() { return *chart_; }
  [[nodiscard]] TableView& table() { return *table_; }

 signals:
  void timeline_requested();
  void export_failed(const QString& message);

 private:
  void show_joined(std::shared_ptr<const RunTimeline> timeline);
  void show_details(qlonglong span);
  void fill_table();

  std::shared_ptr<const TimelineView> view_;
  QStackedWidget* pages_;
  QLabel* empty_;
  QPushButton* make_;
  QLabel* title_;
  QLabel* about_;
  QLineEdit* find_;
  QPushButton* as_table_;
  QStackedWidget* picture_;
  TimelineChart* chart_;
  QWidget* listing_;
  QLabel* listed_;
  TableView* table_;
  QLabel* details_;
};

}  // namespace lindos::gui
