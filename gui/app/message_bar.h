// SPDX-License-Identifier: GPL-3.0-or-later
// An inline message above the views: what happened, where, what to do. Replaces message boxes.
#pragma once

#include <QFrame>
#include <QLabel>
#include <QPushButton>
#include <functional>

#include "gui/app/theme.h"

namespace lindos::gui {

enum class MessageKind { kInfo, kWarning, kError };

class MessageBar : public QFrame {
  Q_OBJECT

 public:
  explicit MessageBar(QWidget* parent = nullptr);

  void show_message(MessageKind kind, const QString& text);
  // With a button that does what the message advises.
  void show_message(MessageKind kind, const QString& text, const QString& remedy, std::function<void()> act);
  void set_theme(const Theme& theme);
  [[nodiscard]] QString text() const { return label_->text(); }

 private:
  void paint();

  QLabel* label_;
  QPushButton* remedy_;
  std::function<void()> act_;
  MessageKind kind_ = MessageKind::kInfo;
  const Theme* theme_ = &light_theme();
};

}  // namespace lindos::gui
