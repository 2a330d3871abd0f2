// SPDX-License-Identifier: GPL-3.0-or-later
// The scenario file that is open, and what was edited since. Edits go to a copy beside the file (".NAME.edited") a
// second after the last key, so that a crash loses no more; saving replaces the file as a whole. A verb predicts
// edits from that copy, where relative paths mean the same. Where the folder cannot be written, the copy lies in the
// user's data folder.
#pragma once

#include <QDateTime>
#include <QObject>
#include <QString>
#include <QStringList>
#include <QTimer>
#include <chrono>
#include <optional>

namespace lindos::gui {

struct LeftEdits {
  QString path;  // the scenario
  QDateTime when;
};

class Document : public QObject {
  Q_OBJECT

 public:
  explicit Document(QObject* parent = nullptr);

  // An error text, or empty when open. Edits of the document before stay in their copy.
  [[nodiscard]] QString open(const QString& path);
  [[nodiscard]] bool is_open() const { return !path_.isEmpty(); }
  [[nodiscard]] QString path() const { return path_; }
  [[nodiscard]] QString text() const { return text_; }
  [[nodiscard]] QString saved_text() const { return saved_; }
  [[nodiscard]] bool modified() const { return text_ != saved_; }

  void set_text(const QString& text);
  // An error text, or empty when written.
  [[nodiscard]] QString save();
  [[nodiscard]] QString save_as(const QString& path);
  // Back to what the file holds now, and without a copy. An error text, or empty.
  [[nodiscard]] QString discard();

  // Edits that an earlier window left behind, if the file has some; take_left makes them the text.
  [[nodiscard]] std::optional<LeftEdits> left() const;
  [[nodiscard]] QString take_left();
  void drop_left();
  // Of all scenarios, newest first.
  [[nodiscard]] static std::vector<LeftEdits> all_left();

  // What a verb shall read: the file, or the copy that holds the edits. Empty when the copy cannot be written;
  // failed() says why.
  [[nodiscard]] QString path_for_verbs();
  void set_delay(std::chrono::milliseconds delay) { timer_.setInterval(delay); }

 signals:
  void modified_changed(bool modified);
  void failed(const QString& message);

 private:
  [[nodiscard]] QString copy_of(const QString& path) const;
  bool keep();
  void forget(const QString& path);
  void set_saved(const QString& text);

  QString path_;
  QString saved_;  // the file's content as far as known
  QString text_;
  QTimer timer_;
  bool was_modified_ = false;
};

}  // namespace lindos::gui
