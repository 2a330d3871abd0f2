// SPDX-License-Identifier: GPL-3.0-or-later
// A report page as PDF, A4: for `lindos report --out FILE.pdf`.
#pragma once

#include <QString>

namespace lindos::gui {

// An error text, or empty when written.
[[nodiscard]] QString print_html(const QString& html_file, const QString& pdf_file);

}  // namespace lindos::gui
