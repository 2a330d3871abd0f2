// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/state/document.h"

#include <QCryptographicHash>
#include <QDir>
#include <QFile>
#include <QFileInfo>
#include <QSaveFile>
#include <QSettings>
#include <QStandardPaths>
#include <algorithm>

namespace lindos::gui {

namespace {

constexpr qint64 kLargest = 4 << 20;  // no scenario is larger; keeps a wrong file out of the editor
const QString kLeft = "left-edits";   // paths of scenarios with a copy

QString read(const QString& path, QString& error) {
  QFile file(path);
  if (!file.open(QIODevice::ReadOnly)) {
    error = QObject::tr("%1 cannot be read: %2").arg(path, file.errorString());
    return {};
  }
  if (file.size() > kLargest) {
    error = QObject::tr("%1 is larger than any scenario (%2 MB)").arg(path).arg(file.size() >> 20);
    return {};
  }
  return QString::fromUtf8(file.readAll());
}

QString write(const QString& path, const QString& text) {
  QSaveFile file(path);
  const QByteArray bytes = text.toUtf8();
  if (file.open(QIODevice::WriteOnly) && file.write(bytes) == bytes.size() && file.commit()) return {};
  return QObject::tr("%1 cannot be written: %2").arg(path, file.errorString());
}

}  // namespace

Document::Document(QObject* parent) : QObject(parent) {
  timer_.setSingleShot(true);
  timer_.setInterval(std::chrono::seconds(1));
  connect(&timer_, &QTimer::timeout, this, &Document::keep);
}

QString Document::copy_of(const QString& path) const {
  const QFileInfo file(path);
  if (QFileInfo(file.path()).isWritable()) return file.path() + "/." + file.fileName() + ".edited";
  const QString folder = QStandardPaths::writableLocation(QStandardPaths::AppDataLocation) + "/edited/";
  QDir().mkpath(folder);
  return folder + QCryptographicHash::hash(path.toUtf8(), QCryptographicHash::Sha1).toHex().left(16) + ".toml";
}

QString Document::open(const QString& path) {
  QString error;
  const QString text = read(path, error);
  if (!error.isEmpty()) return error;
  if (timer_.isActive()) keep();
  timer_.stop();
  path_ = path;
  text_ = text;
  set_saved(text);
  return {};
}

void Document::set_saved(const QString& text) {
  saved_ = text;
  if (was_modified_ == modified()) return;
  was_modified_ = modified();
  emit modified_changed(was_modified_);
}

void Document::set_text(const QString& text) {
  if (!is_open() || text == text_) return;
  text_ = text;
  timer_.start();
  if (was_modified_ == modified()) return;
  was_modified_ = modified();
  emit modified_changed(was_modified_);
}

bool Document::keep() {
  timer_.stop();
  if (!modified()) {
    forget(path_);
    return true;
  }
  if (const QString error = write(copy_of(path_), text_); !error.isEmpty()) {
    emit failed(tr("Your edits are not kept for a crash: %1").arg(error));
    return false;
  }
  QSettings settings;
  QStringList paths = settings.value(kLeft).toStringList();
  if (!paths.contains(path_)) settings.setValue(kLeft, paths << path_);
  settings.sync();
  return true;
}

void Document::forget(const QString& path) {
  QFile::remove(copy_of(path));
  QSettings settings;
  QStringList paths = settings.value(kLeft).toStringList();
  if (paths.removeAll(path) > 0) settings.setValue(kLeft, paths);
}

QString Document::save() {
  if (const QString error = write(path_, text_); !error.isEmpty()) return error;
  timer_.stop();
  forget(path_);
  set_saved(text_);
  return {};
}

QString Document::save_as(const QString& path) {
  if (const QString error = write(path, text_); !error.isEmpty()) return error;
  timer_.stop();
  forget(path_);
  path_ = path;
  set_saved(text_);
  return {};
}

QString Document::discard() {
  QString error;
  const QString text = read(path_, error);
  if (!error.isEmpty()) return error;
  timer_.stop();
  forget(path_);
  text_ = text;
  set_saved(text);
  return {};
}

std::optional<LeftEdits> Document::left() const {
  const QFileInfo copy(copy_of(path_));
  if (!is_open() || !copy.exists()) return std::nullopt;
  return LeftEdits{path_, copy.lastModified()};
}

QString Document::take_left() {
  QString error;
  const QString text = read(copy_of(path_), error);
  if (error.isEmpty()) set_text(text);
  return error;
}

void Document::drop_left() { forget(path_); }

std::vector<LeftEdits> Document::all_left() {
  const Document any;
  std::vector<LeftEdits> out;
  for (const QString& path : QSettings().value(kLeft).toStringList()) {
    const QFileInfo copy(any.copy_of(path));
    if (copy.exists()) out.push_back({path, copy.lastModified()});
  }
  std::sort(out.begin(), out.end(), [](const LeftEdits& a, const LeftEdits& b) { return a.when > b.when; });
  return out;
}

QString Document::path_for_verbs() {
  if (!modified()) return path_;
  return keep() ? copy_of(path_) : QString();
}

}  // namespace lindos::gui
