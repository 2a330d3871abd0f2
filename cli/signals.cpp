// SPDX-License-Identifier: Apache-2.0
#include "cli/signals.h"

#include <csignal>

namespace lindos::cli {

namespace {

volatile std::sig_atomic_t requested = 0;

void on_signal(int signal) {
  if (requested != 0) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
  requested = 1;
}

}  // namespace

void install_signal_handlers() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  // A file beyond `ulimit -f` is then an error of the write, with a message, and not the end of the process.
  std::signal(SIGXFSZ, SIG_IGN);
}

bool cancel_requested() { return requested != 0; }

}  // namespace lindos::cli
