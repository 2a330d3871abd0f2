// SPDX-License-Identifier: GPL-3.0-or-later
// A page that shows what it has, or says why it has nothing.
#pragma once

#include <QLabel>
#include <QStackedWidget>
#include <QVBoxLayout>

namespace lindos::gui {

// Fills `page` with `pages`: first `empty`, centred, then `filled`. Qt owns them all from then on.
inline void show_empty_or_filled(QWidget& page, QStackedWidget& pages, QLabel& empty, QWidget& filled) {
  empty.setAlignment(Qt::AlignCenter);
  empty.setWordWrap(true);
  pages.addWidget(&empty);
  pages.addWidget(&filled);
  auto* all = new QVBoxLayout(&page);
  all->setContentsMargins(0, 0, 0, 0);
  all->addWidget(&pages);
}

}  // namespace lindos::gui
