// SPDX-License-Identifier: GPL-3.0-or-later
// Every command by name: type a few letters, Enter runs it.
#pragma once

#include <QDialog>
#include <QLineEdit>
#include <QListWidget>

#include "gui/app/actions.h"

namespace lindos::gui {

class CommandPalette : public QDialog {
  Q_OBJECT

 public:
  explicit CommandPalette(const Actions& actions, QWidget* parent);
  [[nodiscard]] QLineEdit& input() { return *input_; }
  [[nodiscard]] QListWidget& list() { return *list_; }

 protected:
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  void filter(const QString& text);
  void run();

  QLineEdit* input_;
  QListWidget* list_;
  std::vector<QAction*> found_;  // behind the rows
  const Actions& actions_;
};

}  // namespace lindos::gui
