// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/pages/table_view.h"

#include <QApplication>
#include <QClipboard>
#include <QContextMenuEvent>
#include <QFileDialog>
#include <QHeaderView>
#include <QKeyEvent>
#include <QMenu>
#include <QSaveFile>
#include <utility>

namespace lindos::gui {

namespace {

constexpr int kWidestColumn = 360;

}  // namespace

TableView::TableView(const QString& accessible_name, QWidget* parent) : QTableView(parent) {
  setAccessibleName(accessible_name);
  proxy_.setSourceModel(&model_);
  proxy_.setSortRole(TableModel::kSortRole);
  proxy_.setFilterKeyColumn(-1);
  proxy_.setFilterCaseSensitivity(Qt::CaseInsensitive);
  setModel(&proxy_);
  setSortingEnabled(true);
  proxy_.sort(-1);
  horizontalHeader()->setSortIndicator(-1, Qt::AscendingOrder);
  horizontalHeader()->setSortIndicatorClearable(true);
  horizontalHeader()->setHighlightSections(false);
  horizontalHeader()->setStretchLastSection(true);
  verticalHeader()->hide();
  verticalHeader()->setDefaultSectionSize(fontMetrics().height() + 9);
  setSelectionBehavior(SelectRows);
  setAlternatingRowColors(true);
  setShowGrid(false);
  setWordWrap(false);
  setTextElideMode(Qt::ElideRight);
  setTabKeyNavigation(false);
  setHorizontalScrollMode(ScrollPerPixel);
  connect(this, &QTableView::doubleClicked, this,
          [this](const QModelIndex& index) { emit chosen(index.data(TableModel::kKeyRole).toLongLong()); });
}

void TableView::set_table(Table table) {
  const auto key = current_key();
  model_.set_table(std::move(table));
  fit_columns();
  if (key) select_key(*key);
}

void TableView::fit_columns() {
  const std::vector<TableRow>& rows = model_.table().rows;
  // Numbers stay beside their neighbours; text may use the room that is left.
  const bool stretch = rows.empty() || !rows.front().cells.back().number;
  horizontalHeader()->setStretchLastSection(stretch);
  for (int i = 0; i < proxy_.columnCount() - (stretch ? 1 : 0); ++i) {
    resizeColumnToContents(i);
    setColumnWidth(i, std::min(columnWidth(i) + 8, kWidestColumn));
  }
}

void TableView::wrap_text() {
  setWordWrap(true);
  verticalHeader()->setSectionResizeMode(QHeaderView::ResizeToContents);
  connect(horizontalHeader(), &QHeaderView::sectionResized, this, &TableView::resizeRowsToContents);
}

void TableView::set_filter(const QString& text) { proxy_.setFilterFixedString(text); }

Table TableView::shown(bool selected_only) const {
  Table shown{model_.table().columns, {}};
  for (int i = 0; i < proxy_.rowCount(); ++i) {
    if (selected_only && !selectionModel()->isRowSelected(i, {})) continue;
    shown.rows.push_back(model_.table().rows[static_cast<std::size_t>(proxy_.mapToSource(proxy_.index(i, 0)).row())]);
  }
  return shown;
}

QString TableView::shown_tsv(bool selected_only) const { return to_tsv(shown(selected_only)); }

QString TableView::shown_csv() const { return to_csv(shown(false)); }

std::optional<std::int64_t> TableView::current_key() const {
  const QModelIndex index = currentIndex();
  if (!index.isValid()) return std::nullopt;
  return index.data(TableModel::kKeyRole).toLongLong();
}

void TableView::select_key(std::int64_t key) {
  for (int i = 0; i < proxy_.rowCount(); ++i) {
    const QModelIndex index = proxy_.index(i, 0);
    if (index.data(TableModel::kKeyRole).toLongLong() != key) continue;
    setCurrentIndex(index);
    selectRow(i);
    return;
  }
}

void TableView::keyPressEvent(QKeyEvent* event) {
  if (event->matches(QKeySequence::Copy)) {
    QApplication::clipboard()->setText(shown_tsv(selectionModel()->hasSelection()));
    return;
  }
  if (event->key() == Qt::Key_Return || event->key() == Qt::Key_Enter) {
    if (const auto key = current_key()) emit chosen(*key);
    return;
  }
  QTableView::keyPressEvent(event);
}

void TableView::contextMenuEvent(QContextMenuEvent* event) {
  QMenu menu;
  QAction* rows = menu.addAction(tr("Copy selected rows"));
  rows->setShortcut(QKeySequence::Copy);
  rows->setEnabled(selectionModel()->hasSelection());
  QAction* all = menu.addAction(tr("Copy whole table"));
  QAction* csv = menu.addAction(tr("Copy whole table as CSV"));
  QAction* save = menu.addAction(tr("Save as CSV…"));
  const QAction* picked = menu.exec(event->globalPos());
  if (picked == rows) QApplication::clipboard()->setText(shown_tsv(true));
  if (picked == all) QApplication::clipboard()->setText(shown_tsv(false));
  if (picked == csv) QApplication::clipboard()->setText(shown_csv());
  if (picked != save) return;
  const QString name =
      QFileDialog::getSaveFileName(this, tr("Save table"), accessibleName() + ".csv", tr("Tables (*.csv)"));
  if (name.isEmpty()) return;
  QSaveFile file(name);
  const QByteArray bytes = shown_csv().toUtf8();
  if (!file.open(QIODevice::WriteOnly) || file.write(bytes) != bytes.size() || !file.commit()) {
    emit failed(tr("%1 cannot be written: %2").arg(name, file.errorString()));
  }
}

}  // namespace lindos::gui
