// SPDX-License-Identifier: Apache-2.0
// What every communicator backend must do, as checks that each rank runs on its own communicator.
// Inputs are a function of (seed, rank, index), so each rank computes the expected bits alone:
// equality with them on every rank is equality between ranks and between backends.
#pragma once

#include "exec/comm/communicator.h"

namespace lindos::exec::conformance {

void all_reduce_sums_in_rank_order(Communicator& comm);
void all_gather_takes_uneven_and_zero_counts(Communicator& comm);
void broadcast_reaches_all_from_each_root(Communicator& comm);
void messages_keep_their_order(Communicator& comm);
void messages_of_wrong_size_are_refused(Communicator& comm);
void calls_mix(Communicator& comm);
void stats_count_calls_and_bytes(Communicator& comm);
// Leaves the communicator aborted.
void abort_releases_waiting_ranks(Communicator& comm);

// All of the above, the last one last.
void run_all(Communicator& comm);

}  // namespace lindos::exec::conformance
