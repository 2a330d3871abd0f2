// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/models/table_model.h"

#include <QFont>
#include <utility>

namespace lindos::gui {

namespace {

QString one_line(QString text) { return text.replace('\t', ' ').replace('\n', ' '); }

}  // namespace

QString to_tsv(const Table& table) {
  QString out;
  QStringList words;
  for (const QString& column : table.columns) words << one_line(column);
  out += words.join('\t') + '\n';
  for (const TableRow& row : table.rows) {
    words.clear();
    for (const Cell& cell : row.cells) words << one_line(cell.text);
    out += words.join('\t') + '\n';
  }
  return out;
}

QString to_csv(const Table& table) {
  const auto quoted = [](QString text) {
    if (!text.contains(',') && !text.contains('"') && !text.contains('\n')) return text;
    return "\"" + text.replace("\"", "\"\"") + "\"";
  };
  QString out;
  QStringList words;
  for (const QString& column : table.columns) words << quoted(column);
  out += words.join(',') + "\r\n";
  for (const TableRow& row : table.rows) {
    words.clear();
    for (const Cell& cell : row.cells) words << quoted(cell.text);
    out += words.join(',') + "\r\n";
  }
  return out;
}

void TableModel::set_table(Table table) {
  beginResetModel();
  table_ = std::move(table);
  endResetModel();
}

int TableModel::rowCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : static_cast<int>(table_.rows.size());
}

int TableModel::columnCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : static_cast<int>(table_.columns.size());
}

QVariant TableModel::data(const QModelIndex& index, int role) const {
  if (!checkIndex(index, CheckIndexOption::IndexIsValid | CheckIndexOption::ParentIsInvalid)) return {};
  const TableRow& row = table_.rows[static_cast<std::size_t>(index.row())];
  const Cell& cell = row.cells[static_cast<std::size_t>(index.column())];
  switch (role) {
    case Qt::DisplayRole:
      return cell.text;
    case Qt::ToolTipRole:
      return cell.tooltip.isEmpty() ? QVariant() : QVariant(cell.tooltip);
    case Qt::TextAlignmentRole:
      return static_cast<int>(Qt::AlignVCenter | (cell.number ? Qt::AlignRight : Qt::AlignLeft));
    case Qt::FontRole: {
      if (!cell.emphasis) return {};
      QFont bold;
      bold.setBold(true);
      return bold;
    }
    case kSortRole:
      return cell.sort.isValid() ? cell.sort : QVariant(cell.text);
    case kKeyRole:
      return QVariant::fromValue<qlonglong>(row.key);
    default:
      return {};
  }
}

QVariant TableModel::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation != Qt::Horizontal || section < 0 || section >= table_.columns.size()) return {};
  if (role == Qt::DisplayRole) return table_.columns[section];
  if (role == Qt::TextAlignmentRole && !table_.rows.empty()) {
    const bool number = table_.rows.front().cells[static_cast<std::size_t>(section)].number;
    return static_cast<int>(Qt::AlignVCenter | (number ? Qt::AlignRight : Qt::AlignLeft));
  }
  return {};
}

}  // namespace lindos::gui
