// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/models/fleet_change.h"

#include <QObject>
#include <cmath>

#include "gui/models/format.h"

namespace lindos::gui {

QString why_not_comparable(const FleetPair& pair, const QString& a, const QString& b) {
  if (!pair.a || !pair.b) {
    return QObject::tr("%1 says nothing about single GPUs; predictions on GPUs do, and runs measured on them.").arg(pair.a ? b : a);
  }
  if (pair.a->map().pools != pair.b->map().pools)
    return QObject::tr("%1 and %2 are of different fleets: their GPUs have no common places.").arg(a, b);
  return {};
}

std::vector<float> changes_of(const FleetPair& pair, std::string_view quantity, ChangeMode mode) {
  const std::vector<float>* a = pair.a->values(quantity);
  const std::vector<float>* b = pair.b->values(quantity);
  if (a == nullptr || b == nullptr) return {};
  std::vector<float> changes(a->size());
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const float ratio = (*a)[i] != 0.0F ? (*b)[i] / (*a)[i] : NAN;
    changes[i] = mode == ChangeMode::kRatio ? ratio : (*b)[i] - (*a)[i];
  }
  return changes;
}

QString change_text(const Metric& quantity, double change, ChangeMode mode) {
  constexpr int kDecimals = 3;
  if (mode == ChangeMode::kRatio) return "×" + QString::number(change, 'f', kDecimals);
  if (quantity.display == "%") return QObject::tr("%1 points").arg(points(change));
  QString size = quantity.display == "×" ? QString::number(std::abs(change), 'f', kDecimals)
                                         : to_qt(format_value(quantity, std::abs(change)));
  if (change == 0.0) return size;
  return (change < 0.0 ? "−" : "+") + size;
}

}  // namespace lindos::gui
