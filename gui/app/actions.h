// SPDX-License-Identifier: GPL-3.0-or-later
// Every command of the window, in one list: menus, the sheet of shortcuts and the test for equal keys read it.
#pragma once

#include <QAction>
#include <QKeySequence>
#include <QString>
#include <QWidget>
#include <functional>
#include <vector>

namespace lindos::gui {

class Actions {
 public:
  struct Entry {
    QString group;  // title of its menu
    QAction* action = nullptr;
  };
  // The window owns the actions; their keys work anywhere in it.
  explicit Actions(QWidget* window) : window_(window) {}

  QAction* add(const QString& group, const QString& text, const QKeySequence& key, std::function<void()> act);
  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  // All keys as a table, those of single views too.
  [[nodiscard]] QString sheet_html() const;
  // Without the mark of the mnemonic and the dots.
  [[nodiscard]] static QString plain(QString text) { return text.remove('&').remove("…"); }

 private:
  QWidget* window_;
  std::vector<Entry> entries_;
};

}  // namespace lindos::gui
