// SPDX-License-Identifier: GPL-3.0-or-later
// A and B, in sight of every view while two runs are compared: which they are, what changes, and what the view that is in
// front makes of it.
#pragma once

#include <QFrame>
#include <QLabel>
#include <QPushButton>

#include "gui/app/theme.h"
#include "gui/pages/elided_label.h"

namespace lindos::gui {

class ComparisonBar : public QFrame {
  Q_OBJECT

 public:
  explicit ComparisonBar(QWidget* parent = nullptr);

  // "A: run 1 · B: run 2", and the headline of the change; `complete`: both are chosen.
  void show_pair(const QString& names, const QString& headline, bool complete);
  void set_note(const QString& note) { note_->setText(note); }
  void set_theme(const Theme& theme);

  [[nodiscard]] QString names() const { return names_->text(); }
  [[nodiscard]] QString headline() const { return headline_->text(); }
  [[nodiscard]] QString note() const { return note_->text(); }

 signals:
  void compare_requested();
  void swap_requested();
  void ended();

 private:
  QPushButton* names_;
  QLabel* headline_;
  ElidedLabel* note_;
  QPushButton* swap_;
};

}  // namespace lindos::gui
