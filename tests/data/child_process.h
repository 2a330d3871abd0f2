// SPDX-License-Identifier: Apache-2.0
// Work in a process of its own, for tests about several writers, sudden death and missing rights.
#pragma once

#include <cstdio>
#include <exception>
#include <functional>

#include <gtest/gtest.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

namespace lindos::data {

// Runs `work` in a child process; it ends with 0, or with 1 when something was thrown or expected
// in vain.
inline pid_t in_child(const std::function<void()>& work) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  int status = 0;
  try {
    work();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "child: %s\n", error.what());
    status = 1;
  }
  ::_exit(::testing::Test::HasFailure() ? 1 : status);
}

// Waits for the end; -1: ended by a signal.
inline int exit_status(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace lindos::data
