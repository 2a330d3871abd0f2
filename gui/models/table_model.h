// SPDX-License-Identifier: GPL-3.0-or-later
// A table that is complete when it is shown: rows of text with a tooltip and a value to sort by. Replaced as a whole.
#pragma once

#include <QAbstractTableModel>
#include <QString>
#include <QStringList>
#include <QVariant>
#include <cstdint>
#include <vector>

namespace lindos::gui {

struct Cell {
  QString text;
  QVariant sort;         // invalid: by text
  QString tooltip;
  bool number = false;   // right-aligned
  bool emphasis = false;
};

struct TableRow {
  std::vector<Cell> cells;  // as many as columns
  std::int64_t key = 0;     // what the row stands for, e.g. the number of a run
};

struct Table {
  QStringList columns;
  std::vector<TableRow> rows;
};

// Header and the rows, tab-separated; tabs and line breaks inside a cell become spaces.
[[nodiscard]] QString to_tsv(const Table& table);
// As RFC 4180 has it: cells with commas, quotes or line breaks are quoted.
[[nodiscard]] QString to_csv(const Table& table);

class TableModel : public QAbstractTableModel {
  Q_OBJECT

 public:
  enum Role { kSortRole = Qt::UserRole, kKeyRole };
  using QAbstractTableModel::QAbstractTableModel;

  void set_table(Table table);
  [[nodiscard]] const Table& table() const { return table_; }

  [[nodiscard]] int rowCount(const QModelIndex& parent = {}) const override;
  [[nodiscard]] int columnCount(const QModelIndex& parent = {}) const override;
  [[nodiscard]] QVariant data(const QModelIndex& index, int role) const override;
  [[nodiscard]] QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

 private:
  Table table_;
};

}  // namespace lindos::gui
