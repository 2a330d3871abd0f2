// SPDX-License-Identifier: GPL-3.0-or-later
// What `lindos calibrate --format json` says of a profile before it is used: by metric how often the measured value lay
// inside the predicted interval, and how often on pairs that the factor was not fitted on.
#pragma once

#include <QJsonObject>
#include <QString>
#include <optional>

#include "gui/models/table_model.h"

namespace lindos::gui {

struct CalibrationPreview {
  QString summary;  // "12 pairs measured on 2 × AMD EPYC; 3 on other hardware are left out"
  Table metrics;
};

// nullopt when `result` holds none.
[[nodiscard]] std::optional<CalibrationPreview> calibration_from(const QJsonObject& result);

}  // namespace lindos::gui
