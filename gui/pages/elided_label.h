// SPDX-License-Identifier: GPL-3.0-or-later
// A line of text that yields: what does not fit is cut in the middle, and the tooltip has all of
// it.
#pragma once

#include <QLabel>

namespace lindos::gui {

class ElidedLabel : public QLabel {
  Q_OBJECT

 public:
  explicit ElidedLabel(QWidget* parent = nullptr);
  [[nodiscard]] QSize minimumSizeHint() const override;

 protected:
  void paintEvent(QPaintEvent* event) override;
};

}  // namespace lindos::gui
