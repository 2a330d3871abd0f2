// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/models/missing_fields.h"

#include <QObject>

#include "gui/models/format.h"

namespace lindos::gui {

namespace {

constexpr const char* kPower = "power_w";
constexpr const char* kAskedFor[] = {kPower, "temperature_c"};

QString why_not_measured(const std::string& quantity, const RunSamples* samples) {
  if (samples == nullptr) return QObject::tr("The run was imported, or measured by an older version: it has no samples.");
  for (const SampleSeries& series : samples->series) {
    if (series.quantity == quantity && !series.absent.empty()) return QObject::tr("NVML: %1.").arg(to_qt(series.absent));
  }
  return QObject::tr("The samples of the run name no GPU of this fleet.");
}

QString why_not_predicted(const std::string& quantity, const Fleet& fleet) {
  if (quantity != kPower)
    return QObject::tr("Heat is predicted as a slowdown of the node, without a temperature. Runs measured on GPUs have it.");
  if (fleet.predicted())
    return QObject::tr("A prediction of training does not compute it; “Power limit” is what each GPU may draw.");
  return QObject::tr("Neither a profile nor the catalogue says what these devices draw.");
}

}  // namespace

std::vector<MissingField> missing_fields(const Fleet& fleet, const RunRecord* run, const RunSamples* samples) {
  std::vector<MissingField> missing;
  for (const std::string quantity : kAskedFor) {
    if (fleet.values(quantity) != nullptr) continue;
    const QString label = to_qt(find_device_quantity(quantity)->label);
    if (run != nullptr && run->source == RunSource::kMeasured) {
      missing.push_back({label, QObject::tr("not measured"), why_not_measured(quantity, samples)});
    } else if (run == nullptr && quantity == kPower) {
      missing.push_back({label, QObject::tr("not predicted yet"),
                         QObject::tr("Predictions of serving have it where the power of the devices is known.")});
    } else {
      missing.push_back({label, QObject::tr("not predicted"), why_not_predicted(quantity, fleet)});
    }
  }
  return missing;
}

}  // namespace lindos::gui
