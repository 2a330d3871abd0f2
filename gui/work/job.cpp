// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/work/job.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <QJsonDocument>
#include <QRegularExpression>

namespace lindos::gui {

namespace {

// A result is one record; more is a child that went wild.
constexpr qsizetype kMaxOutput = 64 << 20;

JobEnd end_of(int code) {
  switch (code) {
    case 0:
      return JobEnd::kDone;
    case 1:
      return JobEnd::kBadInput;
    case 2:
      return JobEnd::kUsage;
    case 3:
      return JobEnd::kInfeasible;
    case 4:
      return JobEnd::kEnvironment;
    case 130:
      return JobEnd::kCancelled;
    default:
      return JobEnd::kUnknownCode;
  }
}

QString quoted(const QString& word) {
  static const QRegularExpression plain("^[A-Za-z0-9_./:=,+-]+$");
  if (plain.match(word).hasMatch()) return word;
  return "'" + QString(word).replace("'", "'\\''") + "'";
}

}  // namespace

std::pair<QString, QString> split_place(const QString& error) {
  static const QRegularExpression with_line("^(.+?:\\d+:\\d+): (.*)$", QRegularExpression::DotMatchesEverythingOption);
  static const QRegularExpression file("^([^ :]*[./][^ :]*): (.*)$", QRegularExpression::DotMatchesEverythingOption);
  for (const QRegularExpression* pattern : {&with_line, &file}) {
    const QRegularExpressionMatch match = pattern->match(error);
    if (match.hasMatch()) return {match.captured(1), match.captured(2)};
  }
  return {QString(), error};
}

Job::Job(QObject* parent) : QObject(parent) {
  process_.setChildProcessModifier([] {
    ::setpgid(0, 0);
    // The child of a window that crashed has nobody to report to.
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  });
  connect(&process_, &QProcess::readyReadStandardOutput, this, &Job::read_output);
  connect(&process_, &QProcess::readyReadStandardError, this, &Job::read_errors);
  connect(&process_, &QProcess::finished, this, &Job::end);
  connect(&process_, &QProcess::errorOccurred, this, &Job::fail_to_start);
  kill_timer_.setSingleShot(true);
  connect(&kill_timer_, &QTimer::timeout, this, [this] { signal_group(SIGKILL); });
}

Job::~Job() {
  process_.disconnect(this);
  signal_group(SIGKILL);
}

void Job::start(const JobRequest& request) {
  request_ = request;
  reader_ = {};
  output_.clear();
  error_.clear();
  cancelled_ = false;
  running_ = true;
  emit line_logged("$ " + command_line());
  process_.start(request.program, request.arguments);
  group_ = process_.processId();
}

QString Job::command_line() const {
  QStringList words{quoted(request_.program)};
  for (const QString& argument : request_.arguments) words << quoted(argument);
  return words.join(' ');
}

void Job::cancel() {
  if (!running_) return;
  if (cancelled_) {
    signal_group(SIGKILL);
    return;
  }
  cancelled_ = true;
  signal_group(SIGTERM);
  kill_timer_.start(grace_);
}

void Job::signal_group(int signal) {
  if (!running_ || group_ <= 0) return;
  // Between fork and setpgid the group does not exist yet.
  if (::kill(static_cast<pid_t>(-group_), signal) != 0) ::kill(static_cast<pid_t>(group_), signal);
}

void Job::read_output() {
  output_ += process_.readAllStandardOutput();
  if (output_.size() > kMaxOutput) output_.truncate(kMaxOutput);
}

void Job::read_errors() { handle(reader_.feed(process_.readAllStandardError())); }

void Job::handle(const std::vector<VerbEvent>& events) {
  for (const VerbEvent& event : events) {
    if (const auto* progress = std::get_if<ProgressEvent>(&event)) {
      emit progressed(*progress);
    } else if (const auto* phase = std::get_if<PhaseEvent>(&event)) {
      emit phase_ended(phase->text);
      emit line_logged(phase->text);
    } else if (const auto* sample = std::get_if<SampleEvent>(&event)) {
      emit sampled(sample->sample);
    } else if (const auto* partial = std::get_if<PartialEvent>(&event)) {
      emit partly_done(partial->record);
    } else {
      const QString text = std::get<TextLine>(event).text;
      if (text.startsWith("lindos: ")) error_ = text.mid(8);
      emit line_logged(text);
    }
  }
}

void Job::fail_to_start(QProcess::ProcessError error) {
  if (error != QProcess::FailedToStart) return;  // the others also end the process, and `end` tells
  running_ = false;
  kill_timer_.stop();
  JobResult result;
  result.end = JobEnd::kNotStarted;
  result.where = request_.program;
  result.message = tr("cannot be started (%1). It belongs beside lindos-gui; build it with: tools/build release")
                       .arg(process_.errorString());
  emit finished(result);
}

void Job::end(int code, QProcess::ExitStatus status) {
  read_output();
  read_errors();
  handle(reader_.finish());
  running_ = false;
  kill_timer_.stop();

  JobResult result;
  result.code = code;
  const QString verb = request_.arguments.value(0);
  const auto [where, message] = split_place(error_);
  result.where = where;
  if (status == QProcess::CrashExit) {
    result.end = cancelled_ ? JobEnd::kCancelled : JobEnd::kCrashed;
    result.message = cancelled_ ? tr("%1 was stopped; nothing was stored.").arg(verb)
                                : tr("%1 ended by signal %2. The window and the store are sound; the Log has its last "
                                     "lines.")
                                      .arg(verb)
                                      .arg(code);
  } else {
    result.end = end_of(code);
    result.message = message;
  }
  const QJsonDocument document = QJsonDocument::fromJson(output_);
  if (result.end == JobEnd::kInfeasible) result.object = document.object();  // may say more than the error
  if (result.end == JobEnd::kDone) {
    if (document.isObject()) {
      result.object = document.object();
      result.message.clear();
    } else {
      result.end = JobEnd::kUnreadable;
      result.message = tr("%1 ended well, but its result is no JSON object; are lindos and lindos-gui of one build?").arg(verb);
    }
  } else if (result.end == JobEnd::kCancelled) {
    result.message = tr("%1 was stopped; nothing was stored.").arg(verb);
  } else if (result.message.isEmpty()) {
    result.message = tr("%1 ended with exit status %2 and no message; the Log has its last lines.").arg(verb).arg(code);
  }
  emit finished(result);
}

}  // namespace lindos::gui
