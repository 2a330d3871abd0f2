// SPDX-License-Identifier: GPL-3.0-or-later
// Runs: what the store holds, newest first; opens a run in Why and picks A and B for Compare.
#pragma once

#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QStackedWidget>
#include <QWidget>

#include "gui/pages/table_view.h"
#include "gui/work/store_reader.h"

namespace lindos::gui {

class RunsPage : public QWidget {
  Q_OBJECT

 public:
  explicit RunsPage(QWidget* parent = nullptr);
  void show_list(const RunList& list, const QString& store);
  [[nodiscard]] TableView& table() { return *table_; }
  [[nodiscard]] QString note() const { return note_->text(); }

 signals:
  void run_chosen(std::int64_t id);
  void a_chosen(std::int64_t id);
  void b_chosen(std::int64_t id);

 private:
  void say_count();

  QLineEdit* filter_;
  QStackedWidget* pages_;
  QLabel* empty_;
  QLabel* note_;
  TableView* table_;
  qsizetype total_ = 0;
  QString store_;
};

}  // namespace lindos::gui
