// SPDX-License-Identifier: GPL-3.0-or-later
// What `lindos run SCENARIO --preflight --format json` says: whether the scenario can run here, check by check.
#pragma once

#include <QJsonObject>
#include <optional>

#include "gui/models/table_model.h"

namespace lindos::gui {

struct PreflightResult {
  bool ready = false;
  int warnings = 0;
  Table checks;
};

// nullopt when `result` holds none.
[[nodiscard]] std::optional<PreflightResult> preflight_from(const QJsonObject& result);

}  // namespace lindos::gui
