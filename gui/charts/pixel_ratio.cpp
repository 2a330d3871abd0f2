// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/charts/pixel_ratio.h"

#include <qcustomplot.h>

namespace lindos::gui {

namespace {

class Follower : public QObject {
 public:
  explicit Follower(QCustomPlot& plot) : QObject(&plot), plot_(plot) { plot.installEventFilter(this); }

  bool eventFilter(QObject* watched, QEvent* event) override {
    const double ratio = plot_.devicePixelRatioF();
    if (event->type() == QEvent::Paint && plot_.bufferDevicePixelRatio() != ratio) {
      plot_.setBufferDevicePixelRatio(ratio);
      plot_.replot(QCustomPlot::rpQueuedReplot);
    }
    return QObject::eventFilter(watched, event);
  }

 private:
  QCustomPlot& plot_;
};

}  // namespace

void follow_pixel_ratio(QCustomPlot& plot) { new Follower(plot); }

}  // namespace lindos::gui
