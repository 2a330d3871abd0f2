// SPDX-License-Identifier: Apache-2.0
// What stands in the way of running a scenario here, asked before minutes are spent on it. Nothing is run or stored.
#pragma once

#include <string>
#include <vector>

#include "cli/session.h"

namespace lindos::cli {

enum class CheckState { kOk, kWarning, kFailed };
[[nodiscard]] const char* name_of(CheckState state);  // "ok", "warning", "failed"

struct PreflightCheck {
  std::string what;   // "device"
  CheckState state = CheckState::kOk;
  std::string found;  // with the remedy, where it is not ok
};

struct PreflightRequest {
  DeviceChoice device = DeviceChoice::kAuto;
  std::string weights;   // as for open_weights
  std::string profile;   // file; empty: none was given
};

// Each check by itself, as far as what it builds on holds: one that fails hides no other.
[[nodiscard]] std::vector<PreflightCheck> preflight(const Session& session, const CommonOptions& options,
                                                    const PreflightRequest& request);

}  // namespace lindos::cli
