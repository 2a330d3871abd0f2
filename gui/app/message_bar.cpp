// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/app/message_bar.h"

#include <QHBoxLayout>
#include <utility>

namespace lindos::gui {

MessageBar::MessageBar(QWidget* parent) : QFrame(parent), label_(new QLabel), remedy_(new QPushButton) {
  setObjectName("message");
  label_->setWordWrap(true);
  label_->setTextFormat(Qt::PlainText);
  label_->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
  auto* close = new QPushButton(tr("Dismiss"));
  close->setAccessibleName(tr("Dismiss this message"));
  auto* row = new QHBoxLayout(this);
  row->setContentsMargins(12, 6, 8, 6);
  row->addWidget(label_, 1);
  row->addWidget(remedy_);
  row->addWidget(close);
  connect(close, &QPushButton::clicked, this, &QWidget::hide);
  connect(remedy_, &QPushButton::clicked, this, [this] {
    hide();
    if (act_) act_();
  });
  remedy_->hide();
  hide();
}

void MessageBar::show_message(MessageKind kind, const QString& text) { show_message(kind, text, {}, {}); }

void MessageBar::show_message(MessageKind kind, const QString& text, const QString& remedy, std::function<void()> act) {
  kind_ = kind;
  act_ = std::move(act);
  label_->setText(text);
  label_->setAccessibleName(text);
  remedy_->setText(remedy);
  remedy_->setVisible(!remedy.isEmpty());
  paint();
  show();
}

void MessageBar::set_theme(const Theme& theme) {
  theme_ = &theme;
  paint();
}

void MessageBar::paint() {
  const QColor ground = kind_ == MessageKind::kError     ? theme_->error_ground
                        : kind_ == MessageKind::kWarning ? theme_->warning_ground
                                                         : theme_->info_ground;
  const QColor text = kind_ == MessageKind::kError     ? theme_->error_text
                      : kind_ == MessageKind::kWarning ? theme_->warning_text
                                                       : theme_->info_text;
  setStyleSheet(QString("QFrame#message { background: %1; } QFrame#message QLabel { color: %2; }")
                    .arg(ground.name(), text.name()));
}

}  // namespace lindos::gui
