// SPDX-License-Identifier: GPL-3.0-or-later
// Cluster: the map of a run's fleet, what it is coloured by, and finding a GPU, node, rack, hall or replica by name.
#pragma once

#include <QComboBox>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QStackedWidget>
#include <QWidget>
#include <memory>
#include <vector>

#include "gui/map/map_widget.h"
#include "gui/models/missing_fields.h"
#include "gui/pages/elided_label.h"
#include "gui/pages/table_view.h"

namespace lindos::gui {

class ClusterPage : public QWidget {
  Q_OBJECT

 public:
  explicit ClusterPage(QWidget* parent = nullptr);

  // `what`: which run or scenario it is, with provenance. `missing`: named in the list of colours with its reason.
  void show_fleet(std::shared_ptr<const Fleet> fleet, const QString& what, std::vector<MissingField> missing);
  void show_empty(const QString& text);
  // The fleets of A and B, the shown one of them; their change is coloured as the list beside the quantity says. An empty pair
  // ends it.
  void show_comparison(const FleetPair& pair);
  void show_selection(const Selection& selection);
  void set_theme(const Theme& theme);
  // As in the list, e.g. "slowdown"; false when this run does not have it.
  bool colour_by(const std::string& name);
  void focus_find();
  void find(const QString& text);
  // The worst GPUs, as many as N walks through.
  void toggle_table();
  void export_chart();
  // An error text, or empty when written.
  [[nodiscard]] QString export_to(const QString& file);

  [[nodiscard]] bool filled() const { return pages_->currentIndex() == 1; }
  [[nodiscard]] TableView& table() { return *table_; }
  [[nodiscard]] MapWidget& map() { return *map_; }
  [[nodiscard]] QComboBox& colours() { return *colour_; }
  [[nodiscard]] QComboBox& change() { return *change_; }
  [[nodiscard]] QString note() const { return note_->text(); }
  [[nodiscard]] QString find_error() const { return find_error_->text(); }

 signals:
  void selected(const lindos::gui::Selection& selection);
  void colour_chosen();
  void export_failed(const QString& message);

 private:
  void fill_choices();
  void fill_table();
  void apply_comparison();

  QStackedWidget* pages_;
  QLabel* empty_;
  QComboBox* colour_;
  QComboBox* change_;
  FleetPair pair_;
  std::vector<MissingField> missing_;
  QLineEdit* find_;
  QLabel* find_error_;
  ElidedLabel* note_;
  QStackedWidget* picture_;
  MapWidget* map_;
  TableView* table_;
  QPushButton* as_table_;
  QString wanted_;  // the quantity the user chose last, also while a run lacks it
};

}  // namespace lindos::gui
