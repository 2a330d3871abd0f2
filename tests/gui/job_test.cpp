// SPDX-License-Identifier: Apache-2.0
// Job against a fake `lindos`: slow, split lines, garbage, each exit status, crash, ignored SIGTERM.
#include "gui/work/job.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <QElapsedTimer>
#include <QFile>
#include <QJsonObject>
#include <QSignalSpy>
#include <QTemporaryDir>

namespace lindos::gui {
namespace {

constexpr int kPatience = 20000;  // ms; only a hang reaches it

class JobTest : public ::testing::Test {
 protected:
  // A program whose body is `script`.
  void start(const QByteArray& script) {
    const QString path = folder_.filePath("lindos");
    QFile file(path);
    ASSERT_TRUE(file.open(QIODevice::WriteOnly));
    file.write("#!/bin/bash\n" + script + "\n");
    file.close();
    file.setPermissions(QFile::ReadOwner | QFile::WriteOwner | QFile::ExeOwner);
    QObject::connect(&job_, &Job::progressed, &job_, [this](const ProgressEvent& p) { progress_.push_back(p); });
    QObject::connect(&job_, &Job::line_logged, &job_, [this](const QString& line) { log_ << line; });
    QObject::connect(&job_, &Job::finished, &job_, [this](const JobResult& r) { results_.push_back(r); });
    job_.start({path, {"predict", "a b.toml"}, "predict a"});
  }
  JobResult result() {
    QSignalSpy finished(&job_, &Job::finished);
    if (results_.empty()) finished.wait(kPatience);
    EXPECT_EQ(results_.size(), 1u);
    EXPECT_FALSE(job_.running());
    return results_.empty() ? JobResult{} : results_.front();
  }

  QTemporaryDir folder_;
  Job job_;
  std::vector<ProgressEvent> progress_;
  QStringList log_;
  std::vector<JobResult> results_;
};

TEST_F(JobTest, ResultAndProgress) {
  start(R"(echo '{"event":"progress","verb":"predict","phase":"predict","fraction":0.25,"remaining_s":3.5}' >&2
           echo '{"event":"phase","verb":"predict","text":"probe done"}' >&2
           echo '{"source":"predicted"}')");
  const JobResult r = result();
  EXPECT_EQ(r.end, JobEnd::kDone);
  EXPECT_EQ(r.object.value("source").toString(), "predicted");
  ASSERT_EQ(progress_.size(), 1u);
  EXPECT_DOUBLE_EQ(progress_[0].fraction, 0.25);
  EXPECT_DOUBLE_EQ(progress_[0].remaining_s.value(), 3.5);
  EXPECT_TRUE(log_.contains("probe done"));
  EXPECT_TRUE(log_.first().endsWith("predict 'a b.toml'"));
}

TEST_F(JobTest, SlowAndSplitLines) {
  start(R"(printf '{"event":"progr' >&2; sleep 0.1; printf 'ess","phase":"p","fraction":0.5}\n{"event":' >&2; sleep 0.1
           printf '"progress","phase":"p","fraction":1}\n' >&2; printf '{"a":'; sleep 0.1; echo '1}')");
  EXPECT_EQ(result().end, JobEnd::kDone);
  ASSERT_EQ(progress_.size(), 2u);
  EXPECT_DOUBLE_EQ(progress_[1].fraction, 1.0);
}

TEST_F(JobTest, GarbageGoesToTheLog) {
  start(R"(printf '\xff\xfe\x00 not json\n{"event":"telemetry","gpu":3}\n{"event":"progress"}\nno line end' >&2; echo '{}')");
  EXPECT_EQ(result().end, JobEnd::kDone);
  EXPECT_TRUE(progress_.empty());
  EXPECT_TRUE(log_.contains(R"({"event":"telemetry","gpu":3})"));
  EXPECT_TRUE(log_.contains("no line end"));
}

TEST_F(JobTest, ManyLinesArriveAll) {
  start(R"(for i in {1..20000}; do echo "{\"event\":\"progress\",\"phase\":\"p\",\"fraction\":0.5}"; done >&2; echo '{}')");
  EXPECT_EQ(result().end, JobEnd::kDone);
  EXPECT_EQ(progress_.size(), 20000u);
}

TEST_F(JobTest, ExitStatusBecomesAnEnd) {
  const std::vector<std::pair<int, JobEnd>> ends = {{1, JobEnd::kBadInput},    {2, JobEnd::kUsage},       {3, JobEnd::kInfeasible},
                                                    {4, JobEnd::kEnvironment}, {130, JobEnd::kCancelled}, {77, JobEnd::kUnknownCode}};
  for (const auto& [code, end] : ends) {
    results_.clear();
    job_.disconnect();
    start("echo 'lindos: a.toml:4:2: rate: expected a quantity' >&2; exit " + QByteArray::number(code));
    const JobResult r = result();
    EXPECT_EQ(r.end, end) << code;
    EXPECT_EQ(r.where, "a.toml:4:2");
    EXPECT_EQ(r.message, code == 130 ? "predict was stopped; nothing was stored." : "rate: expected a quantity");
  }
}

TEST_F(JobTest, CrashIsTold) {
  start("kill -SEGV $$");
  const JobResult r = result();
  EXPECT_EQ(r.end, JobEnd::kCrashed);
  EXPECT_EQ(r.code, SIGSEGV);
  EXPECT_TRUE(r.message.contains("signal 11"));
}

TEST_F(JobTest, NoResultIsNoSuccess) {
  start("echo 'not json'");
  EXPECT_EQ(result().end, JobEnd::kUnreadable);
}

TEST_F(JobTest, MissingProgram) {
  QObject::connect(&job_, &Job::finished, &job_, [this](const JobResult& r) { results_.push_back(r); });
  job_.start({folder_.filePath("nothing"), {"predict"}, "predict"});
  const JobResult r = result();
  EXPECT_EQ(r.end, JobEnd::kNotStarted);
  EXPECT_TRUE(r.message.contains("beside lindos-gui"));
}

TEST_F(JobTest, CancelEndsTheWholeGroup) {
  start("sleep 60 & echo $! >&2; wait");
  QSignalSpy logged(&job_, &Job::line_logged);
  while (log_.size() < 2) ASSERT_TRUE(logged.wait(kPatience));
  const auto grandchild = static_cast<pid_t>(log_[1].toInt());
  ASSERT_GT(grandchild, 0);
  job_.cancel();
  EXPECT_EQ(result().end, JobEnd::kCancelled);
  // Its new parent has to reap it first.
  QElapsedTimer waited;
  waited.start();
  const auto alive = [&] {
    QFile status(QString("/proc/%1/stat").arg(grandchild));
    return status.open(QIODevice::ReadOnly) && !status.readAll().contains(") Z ");
  };
  while (alive() && waited.elapsed() < kPatience) ::usleep(10000);
  EXPECT_FALSE(alive());
}

TEST_F(JobTest, IgnoredSigtermIsKilled) {
  start("trap '' TERM; echo ready >&2; while true; do sleep 0.05; done");
  QSignalSpy logged(&job_, &Job::line_logged);
  while (!log_.contains("ready")) ASSERT_TRUE(logged.wait(kPatience));
  job_.set_grace(std::chrono::milliseconds(200));
  job_.cancel();
  EXPECT_EQ(result().end, JobEnd::kCancelled);
}

TEST(ProgressReader, LongLineIsCutAndTheNextOneIsWhole) {
  ProgressReader reader;
  const QByteArray line(ProgressReader::kMaxLine + 5000, 'x');
  std::vector<VerbEvent> events;
  for (qsizetype i = 0; i < line.size(); i += 65536) {
    for (VerbEvent& e : reader.feed(line.mid(i, 65536))) events.push_back(std::move(e));
  }
  for (VerbEvent& e : reader.feed("\nshort\n")) events.push_back(std::move(e));
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(std::get<TextLine>(events[0]).text.size(), ProgressReader::kMaxLine);
  EXPECT_EQ(std::get<TextLine>(events[1]).text, "short");
  EXPECT_TRUE(reader.finish().empty());
}

TEST(SplitPlace, FindsThePlace) {
  EXPECT_EQ(split_place("dir/a.toml:41:13: fabric: expected").first, "dir/a.toml:41:13");
  EXPECT_EQ(split_place("plan.json: /stages/1: too long"), std::make_pair(QString("plan.json"), QString("/stages/1: too long")));
  EXPECT_EQ(split_place("cancelled").first, "");
}

}  // namespace
}  // namespace lindos::gui
