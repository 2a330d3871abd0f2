// SPDX-License-Identifier: Apache-2.0
// A window on a store of its own, in light colours, and how a test waits for its answers.
#pragma once

#include <QSignalSpy>

#include <gtest/gtest.h>

#include "gui/app/main_window.h"
#include "tests/data/sample_run.h"

namespace lindos::gui {

inline constexpr int kPatience = 240000;  // ms; the machine may be busy

class WindowFixture : public ::testing::Test {
 protected:
  WindowOptions window_options(const char* fidelity) {
    WindowOptions o;
    o.lindos = LINDOS_BIN_DIR "/lindos";
    o.store = folder_ / "lindos.db";
    o.fidelity = fidelity;
    o.theme = ThemeChoice::kLight;
    return o;
  }
  // Waits until the window shows the answer to `act`.
  template <class Act>
  void settle(MainWindow& window, const Act& act) {
    QSignalSpy settled(&window, &MainWindow::settled);
    act();
    ASSERT_TRUE(settled.wait(kPatience));
  }
  data::ScratchFolder folder_;
};

}  // namespace lindos::gui
