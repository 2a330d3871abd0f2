// SPDX-License-Identifier: Apache-2.0
#include "exec/comm/launch.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <thread>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec/comm/communicator.h"
#include "scenarios/error.h"

namespace lindos::exec {

namespace {

// How often the launch is looked at: its end is seen at most so late.
constexpr std::chrono::milliseconds kLook{20};

// In the child: becomes the command, or says errno through `report` and ends.
[[noreturn]] void become(char* const* argv, pid_t parent, int report) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(1);  // it died before the line above
  const int nothing = ::open("/dev/null", O_RDONLY);
  if (nothing >= 0 && ::dup2(nothing, STDIN_FILENO) >= 0) ::execvp(argv[0], argv);
  const int why = errno;
  const ssize_t told = ::write(report, &why, sizeof why);
  ::_exit(told == sizeof why ? 1 : 2);
}

pid_t start(const std::vector<std::string>& command) {
  const auto refuse = [&](int why) {
    throw Error(ErrorKind::kEnvironment, command.front(), std::string("cannot be started: ") + std::strerror(why));
  };
  std::vector<std::string> words = command;
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) refuse(errno);
  const pid_t self = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) become(argv.data(), self, ends[1]);
  const int why_not = errno;
  ::close(ends[1]);
  int why = 0;
  const ssize_t told = child < 0 ? 0 : ::read(ends[0], &why, sizeof why);
  ::close(ends[0]);
  if (child < 0) refuse(why_not);
  if (told == sizeof why) {
    ::waitpid(child, nullptr, 0);
    refuse(why);
  }
  return child;
}

}  // namespace

int run_to_end(const std::vector<std::string>& command, const std::function<bool()>& cancelled) {
  LINDOS_ASSERT(!command.empty(), "a launch names a program");
  std::signal(SIGCHLD, SIG_DFL);  // a caller that ignores it would take the status away
  const pid_t child = start(command);
  bool asked = false;
  int status = 0;
  while (::waitpid(child, &status, WNOHANG) == 0) {
    // Once: a second signal would make mpirun leave without looking after its ranks.
    if (!asked && cancelled()) {
      ::kill(child, SIGTERM);
      asked = true;
    }
    std::this_thread::sleep_for(kLook);
  }
  const bool done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  if (asked && !done) throw Error(ErrorKind::kCancelled, "", "cancelled");
  if (WIFSIGNALED(status)) {
    throw Error(ErrorKind::kEnvironment, command.front(), "ended by signal " + std::to_string(WTERMSIG(status)));
  }
  return WEXITSTATUS(status);
}

std::vector<std::string> mpirun_command(int ranks) {
  LINDOS_ASSERT(ranks >= 1, "a launch has at least one rank");
  std::vector<std::string> command = {"mpirun", "-np", std::to_string(ranks)};
  // Containers run as root; mpirun refuses that unless told.
  if (::geteuid() == 0) command.emplace_back("--allow-run-as-root");
  // More ranks than cores is a legitimate plan here: wait politely, and let the kernel place the
  // ranks.
  command.insert(command.end(), {"--oversubscribe", "--bind-to", "none"});
  command.insert(command.end(), {"--mca", "mpi_yield_when_idle", "1"});
  // Containers forbid reading another process' memory, and each refusal prints a warning. Nothing
  // is lost: through shared memory the messages of this project were as fast or faster.
  command.insert(command.end(), {"--mca", "btl_vader_single_copy_mechanism", "none"});
  // See kMpiPieceBytes. The default segment of 4 MiB holds too few pieces of that size.
  constexpr std::size_t kHeaderBytes = 256;
  constexpr std::size_t kSegmentBytes = std::size_t{16} << 20;
  command.insert(command.end(),
                 {"--mca", "btl_vader_eager_limit", std::to_string(kMpiPieceBytes + kHeaderBytes)});
  command.insert(command.end(), {"--mca", "btl_vader_segment_size", std::to_string(kSegmentBytes)});
  // One host: no ssh needed, and none asked for.
  command.insert(command.end(), {"--mca", "plm", "isolated"});
  return command;
}

bool launched_by_mpi() {
  // Open MPI, MPICH and its relatives, and a Slurm step. (SLURM_NTASKS would not do: it is also set
  // in the batch script around the step, which is one process.)
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && std::atoi(value) > 1) return true;
  }
  return false;
}

}  // namespace lindos::exec
