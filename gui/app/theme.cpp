// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/app/theme.h"

#include <QApplication>
#include <QStyleFactory>
#include <algorithm>
#include <cmath>

namespace lindos::gui {

const Theme& light_theme() {
  static const Theme theme = [] {
    Theme t;
    t.window = "#f3f4f6";
    t.base = "#ffffff";
    t.alternate = "#f7f8fa";
    t.text = "#16191f";
    t.muted = "#555d6a";
    t.border = "#d3d7de";
    t.accent = "#1d4ed8";
    t.on_accent = "#ffffff";
    t.axis = "#6b7380";
    t.grid = "#e6e8ec";
    t.peak = "#878e9a";
    t.useful = "#1d4ed8";
    t.folded = "#7b828e";
    t.measured = "#16191f";
    t.loss = {QColor("#566273"), QColor("#b45309"), QColor("#0f766e"), QColor("#7c3aed")};
    t.info_ground = "#e7eefc";
    t.info_text = "#1e3a8a";
    t.warning_ground = "#fdf3d0";
    t.warning_text = "#6b4700";
    t.error_ground = "#fde8e8";
    t.error_text = "#9b1c1c";
    return t;
  }();
  return theme;
}

const Theme& dark_theme() {
  static const Theme theme = [] {
    Theme t;
    t.dark = true;
    t.window = "#1b1e24";
    t.base = "#14171c";
    t.alternate = "#191c22";
    t.text = "#e6e8ec";
    t.muted = "#a3abb8";
    t.border = "#343a45";
    t.accent = "#3b6fe0";
    t.on_accent = "#ffffff";
    t.axis = "#868e9b";
    t.grid = "#262b33";
    t.peak = "#6f7785";
    t.useful = "#5b9bff";
    t.folded = "#7b8391";
    t.measured = "#ffffff";
    t.loss = {QColor("#93a1b5"), QColor("#f0a030"), QColor("#2fb8a8"), QColor("#a988f5")};
    t.info_ground = "#1c2a4a";
    t.info_text = "#bcd2ff";
    t.warning_ground = "#3d3212";
    t.warning_text = "#ffe08a";
    t.error_ground = "#451d20";
    t.error_text = "#ffb9b9";
    return t;
  }();
  return theme;
}

bool desktop_is_dark() {
  const QPalette palette = QApplication::palette();
  return palette.color(QPalette::WindowText).lightness() > palette.color(QPalette::Window).lightness();
}

void apply_theme(const Theme& theme) {
  QApplication::setStyle(QStyleFactory::create("Fusion"));
  QPalette palette;
  palette.setColor(QPalette::Window, theme.window);
  palette.setColor(QPalette::WindowText, theme.text);
  palette.setColor(QPalette::Base, theme.base);
  palette.setColor(QPalette::AlternateBase, theme.alternate);
  palette.setColor(QPalette::Text, theme.text);
  palette.setColor(QPalette::PlaceholderText, theme.muted);
  palette.setColor(QPalette::Button, theme.window);
  palette.setColor(QPalette::ButtonText, theme.text);
  palette.setColor(QPalette::ToolTipBase, theme.base);
  palette.setColor(QPalette::ToolTipText, theme.text);
  palette.setColor(QPalette::Highlight, theme.accent);
  palette.setColor(QPalette::HighlightedText, theme.on_accent);
  palette.setColor(QPalette::Link, theme.useful);
  palette.setColor(QPalette::Mid, theme.border);
  palette.setColor(QPalette::Dark, theme.border);
  for (const QPalette::ColorRole role : {QPalette::WindowText, QPalette::Text, QPalette::ButtonText}) {
    palette.setColor(QPalette::Disabled, role, theme.muted);
  }
  QApplication::setPalette(palette);
  qApp->setStyleSheet(QString(R"(
    QMainWindow::separator { background: %1; width: 1px; height: 1px; }
    QTabWidget::pane { border: 0; border-top: 1px solid %1; }
    QTabBar::tab { padding: 7px 16px; border: 0; border-bottom: 2px solid transparent; color: %2; background: transparent; }
    QTabBar::tab:selected { color: %3; border-bottom: 2px solid %4; }
    QTabBar::tab:focus { color: %3; text-decoration: underline; }
    QTableView { border: 1px solid %1; gridline-color: transparent; background: %5; alternate-background-color: %6; }
    QTableView::item { border: 0; padding: 0 4px; }
    QLineEdit { color: %3; background: %5; border: 1px solid %8; border-radius: 4px; padding: 4px 8px; }
    QLineEdit:focus { border-color: %4; }
    QPushButton { color: %3; background: %5; border: 1px solid %8; border-radius: 4px; padding: 4px 12px; }
    QPushButton:hover { background: %6; border-color: %2; }
    QPushButton:focus, QPushButton:checked { border-color: %4; }
    QPushButton:pressed, QPushButton:checked { background: %1; }
    QPushButton:disabled { color: %2; background: %7; border-color: %1; }
    QPushButton#link { color: %4; background: transparent; border: 1px solid transparent; padding: 2px 5px; }
    QPushButton#link:hover, QPushButton#link:focus { border-color: %4; }
    QStatusBar { padding: 2px 8px; }
    QStatusBar::item { border: 0; }
    QHeaderView::section { background: %7; color: %2; border: 0; border-bottom: 1px solid %1; padding: 5px 7px; }
    QToolBar { border: 0; border-bottom: 1px solid %1; spacing: 4px; padding: 3px 6px; }
    QToolTip { color: %3; background: %5; border: 1px solid %1; padding: 4px; }
    QFrame#card { background: %5; border: 1px solid %1; border-radius: 6px; }
    QLabel#headline { font-size: 15pt; font-weight: 600; }
    QLabel#title { font-size: 20pt; font-weight: 600; }
    QLabel#section { font-weight: 600; }
    QLabel#muted { color: %2; }
    QLabel#error { color: %9; }
  )")
                          .arg(theme.border.name(), theme.muted.name(), theme.text.name(), theme.useful.name(),
                               theme.base.name(), theme.alternate.name(), theme.window.name(), theme.axis.name(),
                               theme.error_text.name()));
}

double contrast(const QColor& a, const QColor& b) {
  const auto luminance = [](const QColor& colour) {
    const auto linear = [](double c) { return c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4); };
    return 0.2126 * linear(colour.redF()) + 0.7152 * linear(colour.greenF()) + 0.0722 * linear(colour.blueF());
  };
  const double la = luminance(a), lb = luminance(b);
  return (std::max(la, lb) + 0.05) / (std::min(la, lb) + 0.05);
}

}  // namespace lindos::gui
