// SPDX-License-Identifier: GPL-3.0-or-later
// What a newcomer sees first: two cards that lead to a result in one click, recent scenarios, Open, drop a file.
#pragma once

#include <QString>
#include <QVBoxLayout>
#include <QWidget>
#include <vector>

namespace lindos::gui {

struct RecentScenario {
  QString path;
  QString headline;  // of its last result; empty: none yet
  QString left;      // when edits were made that were not saved; empty: none
};

class StartPage : public QWidget {
  Q_OBJECT

 public:
  explicit StartPage(QWidget* parent = nullptr);
  void show_recent(const std::vector<RecentScenario>& recent);

 signals:
  void open_requested();
  void scenario_chosen(const QString& path);
  void twin_requested(const QString& path);
  void predict_requested(const QString& path);

 private:
  QVBoxLayout* recent_;
};

}  // namespace lindos::gui
