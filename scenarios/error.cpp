// SPDX-License-Identifier: Apache-2.0
#include "scenarios/error.h"

#include <cstdio>
#include <cstdlib>

namespace lindos {

void assertion_failed(const char* condition, const char* why, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: internal assertion failed: %s (%s)\n", file, line, condition, why);
  std::abort();
}

}  // namespace lindos
