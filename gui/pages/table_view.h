// SPDX-License-Identifier: GPL-3.0-or-later
// A table on screen: sorts by value, filters by text, copies as tab-separated text (Ctrl+C the selected rows, the
// context menu all). For tables below 2,000 rows.
#pragma once

#include <QSortFilterProxyModel>
#include <QTableView>
#include <cstdint>
#include <optional>

#include "gui/models/table_model.h"

namespace lindos::gui {

class TableView : public QTableView {
  Q_OBJECT

 public:
  explicit TableView(const QString& accessible_name, QWidget* parent = nullptr);

  void set_table(Table table);
  // Widths to the content; a last column of text takes the rest.
  void fit_columns();
  // Rows grow with their text instead of cutting it: for few rows in a narrow place.
  void wrap_text();
  void set_filter(const QString& text);
  [[nodiscard]] int visible_rows() const { return proxy_.rowCount(); }
  // In the order shown.
  [[nodiscard]] QString shown_tsv(bool selected_only) const;
  [[nodiscard]] QString shown_csv() const;
  [[nodiscard]] std::optional<std::int64_t> current_key() const;
  void select_key(std::int64_t key);

 signals:
  void chosen(std::int64_t key);  // Enter or double click
  void failed(const QString& message);

 protected:
  void keyPressEvent(QKeyEvent* event) override;
  void contextMenuEvent(QContextMenuEvent* event) override;

 private:
  [[nodiscard]] Table shown(bool selected_only) const;

  TableModel model_;
  QSortFilterProxyModel proxy_;
};

}  // namespace lindos::gui
