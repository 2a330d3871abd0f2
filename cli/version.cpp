// SPDX-License-Identifier: Apache-2.0
#include "cli/version.h"

#include <cblas.h>
#include <sqlite3.h>
#include <unistd.h>

#include <array>
#include <ctime>

#include <fmt/format.h>
// Before version.h, which uses its macros without including it.
#include <xbt/base.h>

#include <simgrid/version.h>

#include "cli/revision.h"
#include "exec/probe/probe.h"
#include "kernels/gemm.h"

namespace lindos::cli {

std::string version_text() { return fmt::format("lindos {} ({})", LINDOS_VERSION, LINDOS_REVISION); }

Environment current_environment() {
  Environment e;
  e.git_revision = LINDOS_REVISION;
  e.hardware = fmt::format("{} cores of {}", exec::usable_cores(), exec::cpu_label());
  e.libraries = {{"simgrid", fmt::format("{}.{}.{}", SIMGRID_VERSION_MAJOR, SIMGRID_VERSION_MINOR, SIMGRID_VERSION_PATCH)},
                 {"sqlite", sqlite3_libversion()},
                 {"openblas", openblas_get_config()},
                 {"kernels", kernels::gemm_isa()}};
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) == 0) e.host = host.data();
  return e;
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text.data();
}

}  // namespace lindos::cli
