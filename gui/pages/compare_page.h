// SPDX-License-Identifier: GPL-3.0-or-later
// Compare: two runs, A and B, metric by metric and cause by cause.
#pragma once

#include <QLabel>
#include <QStackedWidget>
#include <QWidget>

#include "gui/pages/table_view.h"
#include "gui/work/store_reader.h"

namespace lindos::gui {

class ComparePage : public QWidget {
  Q_OBJECT

 public:
  explicit ComparePage(QWidget* parent = nullptr);
  void show_pair(const RunPairShown& pair);
  void show_empty(const QString& text);
  [[nodiscard]] TableView& metrics() { return *metrics_; }
  [[nodiscard]] TableView& causes() { return *causes_; }

 private:
  QStackedWidget* pages_;
  QLabel* empty_;
  QLabel* a_;
  QLabel* b_;
  TableView* metrics_;
  TableView* causes_;
};

}  // namespace lindos::gui
