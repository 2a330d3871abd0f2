// SPDX-License-Identifier: GPL-3.0-or-later
// The scenario as text: line numbers, colours, undo, and its first error at the line where it is, with what is
// expected there.
#pragma once

#include <QLabel>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QTimer>
#include <QWidget>
#include <optional>

#include "gui/app/theme.h"
#include "gui/docks/plan_form.h"

namespace lindos::gui {

struct TextPlace {
  int line = 0;    // from 1
  int column = 0;  // from 1; 0: the whole line
};
// "file.toml:41:13" → 41, 13; nullopt without a line.
[[nodiscard]] std::optional<TextPlace> place_in(const QString& where);

class TomlEdit;

class ScenarioEditor : public QWidget {
  Q_OBJECT

 public:
  explicit ScenarioEditor(QWidget* parent = nullptr);
  ~ScenarioEditor() override;

  // Replaces the text; undo starts anew.
  void load(const QString& text, const QString& name);
  // Makes the text this one, as one step that undo takes back; what is equal at both ends stays untouched.
  void replace(const QString& text);
  [[nodiscard]] QString text() const;
  void show_valid(const QString& summary);
  // The fields of a serving plan; of a training plan there are none. As the text was last found good.
  void show_plan(const Plan& plan, const QStringList& tenants, bool training);
  void show_error(const std::optional<TextPlace>& place, const QString& message);
  void set_modified(bool modified);
  void set_theme(const Theme& theme);
  void go_to(const TextPlace& place);
  [[nodiscard]] QPlainTextEdit& edit();
  [[nodiscard]] PlanForm& plan_form() { return *plan_; }
  [[nodiscard]] QString state_text() const { return said_; }  // plain

 signals:
  void edited(const QString& text);
  // Some time after the last key.
  void check_requested(const QString& text);
  void save_requested();
  void revert_requested();

 private:
  void say(const QString& text, bool wrong);

  TomlEdit* edit_;
  QLabel* name_;
  QPushButton* save_;
  QPushButton* revert_;
  PlanForm* plan_;
  QLabel* state_;  // says what is right or wrong; its link goes there
  QString said_;
  QTimer timer_;
  QString file_name_;
  std::optional<TextPlace> error_;
  bool loading_ = false;
  QString last_;  // the text as last told
};

}  // namespace lindos::gui
