// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/pages/cluster_page.h"

#include <QFileDialog>
#include <QHBoxLayout>
#include <QPushButton>
#include <QStandardItemModel>
#include <QVBoxLayout>
#include <utility>

#include "gui/charts/chart_export.h"
#include "gui/models/cells.h"
#include "gui/models/format.h"
#include "gui/pages/empty_or_filled.h"

namespace lindos::gui {

namespace {

// Of the list that stands there while two runs are compared.
enum Comparing { kDifferences, kRatios, kShownAlone };

}  // namespace

ClusterPage::ClusterPage(QWidget* parent)
    : QWidget(parent),
      pages_(new QStackedWidget),
      empty_(new QLabel),
      colour_(new QComboBox),
      change_(new QComboBox),
      find_(new QLineEdit),
      find_error_(new QLabel),
      note_(new ElidedLabel),
      picture_(new QStackedWidget),
      map_(new MapWidget),
      table_(new TableView(tr("The worst GPUs"))),
      as_table_(new QPushButton(tr("Show as table"))),
      wanted_("slowdown") {
  auto* label = new QLabel(tr("Colour by"));
  label->setBuddy(colour_);
  colour_->setAccessibleName(tr("Colour the map by"));
  colour_->setMinimumContentsLength(22);
  colour_->setMinimumWidth(100);
  change_->setMinimumWidth(70);
  change_->addItems({tr("Change, B − A"), tr("Ratio, B / A"), tr("Shown run alone")});
  change_->setAccessibleName(tr("How the map compares A and B"));
  change_->hide();
  find_->setPlaceholderText(tr("Find, e.g. h100/8011/5 or h100 rack 12"));
  find_->setClearButtonEnabled(true);
  find_->setAccessibleName(tr("Find a GPU, node, rack, hall or replica"));
  find_->setToolTip(tr("Pool, node and GPU, from 0: h100/8011/5; h100 rack 12; h100 hall 2; h100 replica 7 stage 3"));
  find_->setMinimumWidth(80);
  find_error_->setObjectName("error");
  find_error_->setTextFormat(Qt::PlainText);
  find_error_->hide();
  note_->setObjectName("muted");
  note_->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
  auto* fit = new QPushButton(tr("Fit (0)"));
  auto* row = new QHBoxLayout;
  row->setContentsMargins(14, 8, 14, 8);
  row->addWidget(label);
  row->addSpacing(4);
  row->addWidget(colour_);
  row->addSpacing(4);
  row->addWidget(change_);
  row->addSpacing(8);
  row->addWidget(find_, 1);
  row->addWidget(find_error_);
  row->addWidget(note_, 1);
  row->addSpacing(8);
  as_table_->setCheckable(true);
  auto* export_button = new QPushButton(tr("Export…"));
  for (QPushButton* button : {fit, as_table_, export_button}) {
    row->addWidget(button);
    row->addSpacing(button == export_button ? 0 : 6);
  }
  auto* filled = new QWidget;
  auto* column = new QVBoxLayout(filled);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(0);
  column->addLayout(row);
  picture_->addWidget(map_);
  picture_->addWidget(table_);
  column->addWidget(picture_, 1);
  show_empty_or_filled(*this, *pages_, *empty_, *filled);

  connect(colour_, &QComboBox::activated, this, [this] {
    wanted_ = colour_->currentData().toString();
    map_->set_colour_by(wanted_.toStdString());
    fill_table();
    emit colour_chosen();
  });
  connect(change_, &QComboBox::activated, this, &ClusterPage::apply_comparison);
  connect(export_button, &QPushButton::clicked, this, &ClusterPage::export_chart);
  connect(as_table_, &QPushButton::toggled, this, [this](bool on) {
    fill_table();
    picture_->setCurrentIndex(on ? 1 : 0);
  });
  connect(table_, &TableView::chosen, this, [this](std::int64_t device) {
    as_table_->setChecked(false);
    emit selected(map_->fleet()->device(device));
    map_->zoom_to(map_->fleet()->device(device).devices);
  });
  connect(fit, &QPushButton::clicked, map_, &MapWidget::fit);
  connect(find_, &QLineEdit::returnPressed, this, [this] { find(find_->text()); });
  connect(find_, &QLineEdit::textEdited, find_error_, &QWidget::hide);
  connect(map_, &MapWidget::selected, this, &ClusterPage::selected);
}

void ClusterPage::show_fleet(std::shared_ptr<const Fleet> fleet, const QString& what, std::vector<MissingField> missing) {
  note_->setText(what);
  missing_ = std::move(missing);
  pair_ = {};
  change_->hide();
  map_->set_fleet(std::move(fleet));
  fill_choices();
  pages_->setCurrentIndex(1);
}

void ClusterPage::show_comparison(const FleetPair& pair) {
  pair_ = pair;
  change_->setVisible(static_cast<bool>(pair_));
  apply_comparison();
}

void ClusterPage::apply_comparison() {
  const bool alone = change_->currentIndex() == kShownAlone;
  map_->set_comparison(alone ? FleetPair{} : pair_,
                       change_->currentIndex() == kRatios ? ChangeMode::kRatio : ChangeMode::kDifference);
  fill_table();
}

void ClusterPage::show_empty(const QString& text) {
  map_->set_fleet(nullptr);
  empty_->setText(text);
  pages_->setCurrentIndex(0);
}

void ClusterPage::fill_choices() {
  colour_->clear();
  const Fleet& fleet = *map_->fleet();
  const auto add = [this](const QString& text, const QString& name, const QString& tooltip) {
    colour_->addItem(text, name);
    colour_->setItemData(colour_->count() - 1, tooltip, Qt::ToolTipRole);
  };
  for (const Metric& quantity : device_quantity_registry()) {
    if (fleet.values(quantity.name) == nullptr) continue;
    add(to_qt(quantity.label), to_qt(quantity.name),
        QString("<p>%1</p>").arg(to_qt(quantity.sentence).toHtmlEscaped()));
  }
  add(tr("Kind of GPU"), to_qt(MapWidget::kByDevice), tr("What is installed."));
  if (!fleet.groups().isEmpty())
    add(tr("Group of the job"), to_qt(MapWidget::kByGroup), tr("Which part of the plan runs where."));
  auto* items = qobject_cast<QStandardItemModel*>(colour_->model());
  for (const MissingField& field : missing_) {
    add(field.label + "  (" + field.state + ")", {}, QString("<p>%1</p>").arg(field.reason.toHtmlEscaped()));
    items->item(colour_->count() - 1)->setEnabled(false);
  }
  if (colour_by(wanted_.toStdString()) || colour_by("utilisation") || colour_by("power_w")) return;
  colour_by(std::string(MapWidget::kByDevice));
}

bool ClusterPage::colour_by(const std::string& name) {
  const int index = colour_->findData(QString::fromStdString(name));
  if (index < 0) return false;
  colour_->setCurrentIndex(index);
  map_->set_colour_by(name);
  fill_table();
  return true;
}

void ClusterPage::fill_table() {
  if (!as_table_->isChecked() || !map_->fleet()) return;
  const Fleet& fleet = *map_->fleet();
  const Metric* quantity = find_device_quantity(map_->colour_by());
  const bool change = map_->shows_change();
  Table table{{tr("GPU"), tr("Where")}, {}};
  if (change) table.columns << tr("A") << tr("B");
  table.columns << (change ? change_->currentText() : colour_->currentText());
  const auto value_of = [&](const Fleet& whose, std::int64_t device) {
    const double value = static_cast<double>(whose.value(quantity->name, device).value_or(0.0F));
    return number(quantity_text(*quantity, value), value);
  };
  for (const std::int64_t device : map_->worst()) {
    TableRow row;
    row.key = device;
    row.cells = {word(fleet.name_of(device)), word(fleet.path_of(device))};
    if (change) {
      const auto by = static_cast<double>(map_->shown_values()[static_cast<std::size_t>(device)]);
      row.cells.push_back(value_of(*pair_.a, device));
      row.cells.push_back(value_of(*pair_.b, device));
      row.cells.push_back(number(map_->shown_text(by), by));
    } else {
      row.cells.push_back(value_of(fleet, device));
    }
    table.rows.push_back(std::move(row));
  }
  table_->set_table(std::move(table));
}

void ClusterPage::toggle_table() {
  if (filled()) as_table_->toggle();
}

void ClusterPage::export_chart() {
  if (!filled()) return;
  const QString file = QFileDialog::getSaveFileName(this, tr("Export map"), "cluster.png", tr("Pictures (*.png *.svg *.pdf)"));
  if (file.isEmpty()) return;
  if (const QString error = export_to(file); !error.isEmpty()) emit export_failed(error);
}

QString ClusterPage::export_to(const QString& file) {
  return export_widget(*map_, file, note_->text(), map_->palette().color(QPalette::Base));
}

void ClusterPage::show_selection(const Selection& selection) { map_->show_selection(selection); }

void ClusterPage::set_theme(const Theme& theme) { map_->set_theme(theme); }

void ClusterPage::focus_find() {
  find_->setFocus();
  find_->selectAll();
}

void ClusterPage::find(const QString& text) {
  if (!map_->fleet() || text.trimmed().isEmpty()) return;
  QString error;
  const Selection found = map_->fleet()->find(text, error);
  find_error_->setText(error);
  find_error_->setVisible(!error.isEmpty());
  if (found.empty()) return;
  emit selected(found);
  if (!found.among_others) map_->zoom_to(found.devices);
  map_->setFocus();
}

}  // namespace lindos::gui
