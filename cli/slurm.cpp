// SPDX-License-Identifier: Apache-2.0
#include "cli/slurm.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/signals.h"
#include "scenarios/error.h"

namespace lindos::cli {

namespace {

struct Captured {
  int status = 0;
  std::string out, err;
};

// Both pipes are drained: a program that fills one would otherwise wait for us.
void drain(const std::array<int, 2>& from, pid_t child, Captured& into) {
  std::array<pollfd, 2> waiting{{{from[0], POLLIN, 0}, {from[1], POLLIN, 0}}};
  std::array<std::string*, 2> texts{&into.out, &into.err};
  std::array<char, 4096> buffer{};
  bool asked_to_end = false;
  while (waiting[0].fd >= 0 || waiting[1].fd >= 0) {
    static_cast<void>(::poll(waiting.data(), waiting.size(), 100));
    if (cancel_requested() && !std::exchange(asked_to_end, true)) ::kill(child, SIGTERM);
    for (std::size_t i = 0; i < waiting.size(); ++i) {
      if (waiting[i].fd < 0 || waiting[i].revents == 0) continue;
      const ssize_t got = ::read(waiting[i].fd, buffer.data(), buffer.size());
      if (got > 0) {
        texts[i]->append(buffer.data(), static_cast<std::size_t>(got));
      } else if (got == 0 || errno != EINTR) {
        waiting[i].fd = -1;
      }
    }
  }
}

Captured run_captured(const std::vector<std::string>& words, const std::filesystem::path& folder = {}) {
  std::array<int, 2> out{}, err{};
  if (::pipe2(out.data(), O_CLOEXEC) != 0) throw Error(ErrorKind::kEnvironment, words.front(), "cannot be started: no pipe");
  if (::pipe2(err.data(), O_CLOEXEC) != 0) throw Error(ErrorKind::kEnvironment, words.front(), "cannot be started: no pipe");
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err[1], STDERR_FILENO);
  if (!folder.empty()) posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  pid_t child = 0;
  const int failed = ::posix_spawnp(&child, argv.front(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(out[1]);
  ::close(err[1]);
  Captured captured;
  if (failed == 0) drain({out[0], err[0]}, child, captured);
  ::close(out[0]);
  ::close(err[0]);
  if (failed == ENOENT)
    throw Error(ErrorKind::kEnvironment, words.front(), "is not in PATH; Slurm's programs are on the login nodes of a cluster");
  if (failed != 0) throw Error(ErrorKind::kEnvironment, words.front(), std::string("cannot be started: ") + std::strerror(failed));
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (cancel_requested()) throw Error(ErrorKind::kCancelled, words.front(), "cancelled");
  captured.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return captured;
}

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts{""};
  for (const char c : text) {
    if (c == at) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

// What a program said, in one line.
std::string said(const Captured& captured) {
  std::string text = captured.err.empty() ? captured.out : captured.err;
  while (!text.empty() && text.back() == '\n') text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text.empty() ? fmt::format("ended with status {}", captured.status) : text;
}

void require_done(const std::string& program, const Captured& captured) {
  if (captured.status != 0) throw Error(ErrorKind::kEnvironment, program, said(captured));
}

void require_ids(const std::vector<std::string>& ids) {
  for (const std::string& id : ids) {
    if (id.empty() || id.find_first_not_of("0123456789") != std::string::npos)
      throw Error(ErrorKind::kUsage, "ID", fmt::format("expected the number of a job, as sbatch prints it, saw \"{}\"", id));
  }
}

SlurmJob* find_job(std::vector<SlurmJob>& jobs, const std::string& id) {
  // "12_3", "12_[4-9%2]": elements of array 12.
  const std::string base = id.substr(0, id.find('_'));
  const auto found = std::find_if(jobs.begin(), jobs.end(), [&](const SlurmJob& job) { return job.id == base; });
  return found == jobs.end() ? nullptr : &*found;
}

// Seconds of "1-02:03:04", days first.
double seconds_of(const std::string& elapsed) {
  const std::size_t dash = elapsed.find('-');
  double seconds = 0.0;
  for (const std::string& part : split(dash == std::string::npos ? elapsed : elapsed.substr(dash + 1), ':'))
    seconds = seconds * 60.0 + std::strtod(part.c_str(), nullptr);
  return dash == std::string::npos ? seconds : seconds + 86400.0 * std::strtod(elapsed.c_str(), nullptr);
}

void take(SlurmJob& job, const std::string& state, const std::string& elapsed, const std::string& nodes) {
  // "CANCELLED by 1000" is CANCELLED.
  ++job.states[state.substr(0, state.find_first_of(" +"))];
  if (job.elapsed.empty() || seconds_of(elapsed) > seconds_of(job.elapsed)) {
    job.elapsed = elapsed;
    job.nodes = nodes;
  }
}

// squeue says nothing, or refuses, where a job has left the queue.
void ask_queue(std::vector<SlurmJob>& jobs, const std::string& ids) {
  const Captured queue = run_captured({"squeue", "--noheader", "--array", "--format=%i|%T|%r|%M|%N", "--jobs=" + ids});
  if (queue.status != 0 && queue.err.find("Invalid job id") == std::string::npos) require_done("squeue", queue);
  for (const std::string& line : split(queue.out, '\n')) {
    const std::vector<std::string> cells = split(line, '|');
    if (cells.size() != 5) continue;
    SlurmJob* job = find_job(jobs, cells[0]);
    if (job == nullptr) continue;
    job->ended = false;
    take(*job, cells[1], cells[3], cells[4]);
    if (cells[1] == "PENDING" && job->reason.empty() && cells[2] != "None") job->reason = cells[2];
  }
}

void ask_accounts(std::vector<SlurmJob>& jobs, const std::string& ids) {
  Captured accounts;
  try {
    accounts = run_captured({"sacct", "--allocations", "--noheader", "--parsable2", "--format=JobID,State,ExitCode,Elapsed,NodeList",
                             "--jobs=" + ids});
  } catch (const Error& e) {
    if (e.kind() == ErrorKind::kCancelled) throw;
    return;
  }
  if (accounts.status != 0) return;  // accounting is switched off
  for (const std::string& line : split(accounts.out, '\n')) {
    const std::vector<std::string> cells = split(line, '|');
    if (cells.size() != 5) continue;
    SlurmJob* job = find_job(jobs, cells[0]);
    if (job == nullptr || !job->ended) continue;
    take(*job, cells[1], cells[3], cells[4]);
    const std::string code = cells[2].substr(0, cells[2].find(':'));
    if (code != "0" && job->reason.empty()) job->reason = "exit code " + code;
  }
}

}  // namespace

SlurmJob submit(const std::filesystem::path& script) {
  if (!std::filesystem::exists(script)) throw Error(ErrorKind::kInput, script.string(), "no such file; lindos export --to slurm writes one");
  const Captured done =
      run_captured({"sbatch", "--parsable", script.filename().string()}, std::filesystem::absolute(script).parent_path());
  require_done("sbatch", done);
  // "123" or "123;cluster".
  const std::string id = done.out.substr(0, done.out.find_first_not_of("0123456789"));
  if (id.empty()) throw Error(ErrorKind::kEnvironment, "sbatch", "expected the number of the job, saw \"" + said(done) + "\"");
  SlurmJob job;
  job.id = id;
  return job;
}

std::vector<SlurmJob> states_of(const std::vector<std::string>& ids) {
  require_ids(ids);
  std::vector<SlurmJob> jobs;
  for (const std::string& id : ids) {
    SlurmJob job;
    job.id = id;
    job.ended = true;
    jobs.push_back(std::move(job));
  }
  ask_queue(jobs, fmt::format("{}", fmt::join(ids, ",")));
  std::vector<std::string> gone;
  for (const SlurmJob& job : jobs) {
    if (job.ended) gone.push_back(job.id);
  }
  if (!gone.empty()) ask_accounts(jobs, fmt::format("{}", fmt::join(gone, ",")));
  return jobs;
}

void cancel_jobs(const std::vector<std::string>& ids) {
  require_ids(ids);
  std::vector<std::string> words{"scancel"};
  words.insert(words.end(), ids.begin(), ids.end());
  require_done("scancel", run_captured(words));
}

}  // namespace lindos::cli
