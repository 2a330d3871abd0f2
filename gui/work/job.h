// SPDX-License-Identifier: GPL-3.0-or-later
// One verb as a child process: `lindos VERB … --format json --progress json --db FILE`. The window never waits for it:
// progress and the end arrive as signals. The child has a process group of its own, which Stop ends (SIGTERM, then
// SIGKILL), and dies with the window. Threading: the UI thread.
#pragma once

#include <QElapsedTimer>
#include <QJsonObject>
#include <QObject>
#include <QProcess>
#include <QStringList>
#include <QTimer>
#include <chrono>
#include <optional>

#include "gui/work/progress_reader.h"

namespace lindos::gui {

struct JobRequest {
  QString program;        // path of `lindos`
  QStringList arguments;  // the verb and its options, complete
  QString title;          // "predict colossus1-training"
};

enum class JobEnd {
  kDone,         // 0
  kBadInput,     // 1
  kUsage,        // 2: the window asked wrongly
  kInfeasible,   // 3
  kEnvironment,  // 4
  kCancelled,    // 130, or ended by our own signals
  kCrashed,      // by a signal
  kNotStarted,   // no such program
  kUnreadable,   // 0, but no JSON object on standard output
  kUnknownCode,
};

struct JobResult {
  JobEnd end = JobEnd::kDone;
  int code = 0;        // exit code, or the number of the signal
  QJsonObject object;  // of standard output; of a plan that does not fit, too, where there is one
  QString where;       // "file:line:column" or file, if the error names a place
  QString message;     // what to tell the user; empty when done
};

// Splits "colossus1.toml:41:13: fabric.bandwidth: …" into the place and the rest; a text without place keeps it empty.
[[nodiscard]] std::pair<QString, QString> split_place(const QString& error);

class Job : public QObject {
  Q_OBJECT

 public:
  explicit Job(QObject* parent = nullptr);
  ~Job() override;

  // REQUIRES: not running.
  void start(const JobRequest& request);
  // The second call, or 5 s, kills.
  void cancel();
  void set_grace(std::chrono::milliseconds grace) { grace_ = grace; }

  [[nodiscard]] bool running() const { return running_; }
  // Of the child, also its group's; 0 before the first start.
  [[nodiscard]] qint64 process_id() const { return group_; }
  [[nodiscard]] const JobRequest& request() const { return request_; }
  // As a user would type it.
  [[nodiscard]] QString command_line() const;

 signals:
  void progressed(const lindos::gui::ProgressEvent& progress);
  void phase_ended(const QString& text);
  void sampled(const lindos::RunSample& sample);
  void partly_done(const lindos::RunRecord& record);
  void line_logged(const QString& text);
  void finished(const lindos::gui::JobResult& result);

 private:
  void read_output();
  void read_errors();
  void handle(const std::vector<VerbEvent>& events);
  void end(int code, QProcess::ExitStatus status);
  void fail_to_start(QProcess::ProcessError error);
  void signal_group(int signal);

  JobRequest request_;
  QProcess process_;
  ProgressReader reader_;
  QByteArray output_;
  QString error_;  // the last "lindos: …" line
  QTimer kill_timer_;
  std::chrono::milliseconds grace_{5000};
  qint64 group_ = 0;
  bool running_ = false;
  bool cancelled_ = false;
};

}  // namespace lindos::gui
