// SPDX-License-Identifier: Apache-2.0
// Ctrl-C asks long work to stop at its next safe point; a second Ctrl-C ends the process at once.
#pragma once

namespace lindos::cli {

void install_signal_handlers();
[[nodiscard]] bool cancel_requested();

}  // namespace lindos::cli
