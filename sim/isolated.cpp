// SPDX-License-Identifier: Apache-2.0
#include "sim/isolated.h"

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string_view>
#include <system_error>

#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scenarios/error.h"

namespace lindos::sim {

namespace {

// A message is one of these, then the payload, then kComplete: a child that dies half-way leaves no
// end mark.
constexpr char kResult = 'R';
constexpr char kFailure = 'E';
constexpr char kComplete = '.';

struct Pipe {
  int read_end = -1;
  int write_end = -1;
};

Error environment(const std::string& what) {
  return {ErrorKind::kEnvironment, "", what + ": " + std::generic_category().message(errno)};
}

bool write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return false;
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

// How often a waiting parent asks whether it was cancelled.
constexpr int kPollMilliseconds = 100;

enum class Received { kAll, kFailed, kCancelled };

// Reads to the end. After kFailed errno says why.
Received read_all(int file, std::string& bytes, const std::function<bool()>& cancelled) {
  char chunk[1 << 14];
  for (;;) {
    if (cancelled && cancelled()) return Received::kCancelled;
    pollfd ready{file, POLLIN, 0};
    const int events = ::poll(&ready, 1, kPollMilliseconds);
    if (events == 0 || (events < 0 && errno == EINTR)) continue;
    if (events < 0) return Received::kFailed;
    const ssize_t got = ::read(file, chunk, sizeof chunk);
    if (got == 0) return Received::kAll;
    if (got < 0) {
      if (errno == EINTR) continue;
      return Received::kFailed;
    }
    bytes.append(chunk, static_cast<std::size_t>(got));
  }
}

// Failure payload: kind, then the length of `where` as text, a space, `where`, message.
std::string failure(ErrorKind kind, const std::string& where, std::string_view message) {
  return std::string(1, kFailure) + std::to_string(static_cast<int>(kind)) + " " +
         std::to_string(where.size()) + " " + where + std::string(message);
}

std::string report(const std::function<std::string()>& work) {
  try {
    return std::string(1, kResult) + work();
  } catch (const Error& e) {
    // what() starts with "where: ", which the parent's Error will put there again.
    std::string_view message = e.what();
    if (!e.where().empty()) message.remove_prefix(e.where().size() + 2);
    return failure(e.kind(), e.where(), message);
  } catch (const std::exception& e) {
    return failure(ErrorKind::kEnvironment, "simulation process", e.what());
  }
}

[[noreturn]] void throw_failure(const std::string& payload) {
  const std::size_t after_kind = payload.find(' ');
  const std::size_t after_length = payload.find(' ', after_kind + 1);
  const int kind = std::stoi(payload.substr(0, after_kind));
  const auto length = static_cast<std::size_t>(
      std::stoul(payload.substr(after_kind + 1, after_length - after_kind - 1)));
  throw Error(static_cast<ErrorKind>(kind), payload.substr(after_length + 1, length),
              payload.substr(after_length + 1 + length));
}

std::string describe_end(int status) {
  if (WIFSIGNALED(status)) return "ended by signal " + std::to_string(WTERMSIG(status));
  return "ended with status " + std::to_string(WEXITSTATUS(status)) + " before it reported";
}

}  // namespace

std::string run_isolated(const std::function<std::string()>& work,
                         const std::function<bool()>& cancelled) {
  int ends[2];
  if (::pipe(ends) != 0) throw environment("cannot create a pipe");
  const Pipe pipe{ends[0], ends[1]};
  // What stdio holds would otherwise be written twice if the child flushed it.
  std::fflush(nullptr);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) {
    const Error error = environment("cannot start a simulation process");
    ::close(pipe.read_end);
    ::close(pipe.write_end);
    throw error;
  }
  if (child == 0) {
    ::close(pipe.read_end);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);  // it died before that took hold
    sigset_t parents_affair;
    sigemptyset(&parents_affair);
    sigaddset(&parents_affair, SIGINT);
    sigaddset(&parents_affair, SIGTERM);
    ::sigprocmask(SIG_BLOCK, &parents_affair, nullptr);
    // A parent that gave up must not kill the child with SIGPIPE noise; the failed write ends it.
    std::signal(SIGPIPE, SIG_IGN);
    const bool delivered = write_all(pipe.write_end, report(work) + kComplete);
    ::_exit(delivered ? 0 : 1);  // no destructors of the parent's objects, no atexit handlers
  }
  ::close(pipe.write_end);
  std::string bytes;
  const Received received = read_all(pipe.read_end, bytes, cancelled);
  if (received == Received::kCancelled) ::kill(child, SIGKILL);
  ::close(pipe.read_end);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (received == Received::kCancelled) throw Error(ErrorKind::kCancelled, "", "cancelled");
  if (received == Received::kFailed || bytes.size() < 2 || bytes.back() != kComplete || !WIFEXITED(status) ||
      WEXITSTATUS(status) != 0) {
    throw Error(ErrorKind::kEnvironment, "simulation process", describe_end(status));
  }
  bytes.pop_back();
  const char type = bytes.front();
  bytes.erase(0, 1);
  if (type == kFailure) throw_failure(bytes);
  return bytes;
}

}  // namespace lindos::sim
