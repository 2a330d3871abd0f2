// SPDX-License-Identifier: GPL-3.0-or-later
// Numbers and names of records as the window shows them: one place, so that no view writes "-2.4" where another writes
// "−2.4". Shares are 0 … 1 and shown in percent or points.
#pragma once

#include <QString>
#include <cstdint>
#include <string>
#include <string_view>

#include "scenarios/run_record.h"

namespace lindos::gui {

// "18,750".
[[nodiscard]] QString counted(std::int64_t n);
[[nodiscard]] QString to_qt(std::string_view text);
// "8.8 %".
[[nodiscard]] QString percent(double share);
// "6.9 – 10.7", without the sign.
[[nodiscard]] QString percent_interval(double p10, double p90);
// "+1.2", "−0.3", "0.0": points of peak.
[[nodiscard]] QString points(double share);
// "12.4 ms" as the registry shows it; unknown metrics keep their SI unit.
[[nodiscard]] QString metric_text(const std::string& name, double value);
// "11.2 – 13.9" or "exact".
[[nodiscard]] QString metric_interval(const std::string& name, const MetricValue& value);
// Definition, sentence and formula of the registry, for tooltips.
[[nodiscard]] QString metric_tooltip(const std::string& name);
[[nodiscard]] QString metric_label(const std::string& name);
// "predicted · simgrid · 200 draws · seed 1" or "measured · 3 repeats · 2 × CPU".
[[nodiscard]] QString provenance_text(const RunRecord& record);
// "2026-11-26 05:31".
[[nodiscard]] QString time_text(const std::string& iso_utc);
// "a minute", "12 s".
[[nodiscard]] QString duration_text(double seconds);
// First letter in upper case: labels of causes start small, because the command line prints them inside sentences.
[[nodiscard]] QString capitalised(const QString& text);

}  // namespace lindos::gui
