// SPDX-License-Identifier: Apache-2.0
// Prompts on a virtual clock: tokens that nobody computes, equal where the real ones would be, so that the scheduler's
// prefix index finds what the engine's would find.
#pragma once

#include <cstdint>
#include <vector>

#include "exec/scheduler/request.h"
#include "scenarios/workload.h"

namespace lindos::sim {

// One token over each id of the beginning, after that one of the request's own; none of them is 0, which is what a
// virtual step samples. Ids of beginnings count modulo 2^30, those of requests too.
[[nodiscard]] std::vector<scheduler::TokenId> virtual_prompt(const RequestSpec& request);

// Prompt tokens that prefix reuse would spare if it kept everything for ever: for each request, in the order given, the
// full blocks that an earlier one begins with too; never its last token.
[[nodiscard]] std::int64_t reusable_tokens(const std::vector<RequestSpec>& requests, std::int64_t block_tokens);

}  // namespace lindos::sim
