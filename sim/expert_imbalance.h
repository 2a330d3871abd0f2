// SPDX-License-Identifier: Apache-2.0
// Where ranks deal whole experts out, a layer waits for the rank whose experts its tokens choose most.
#pragma once

#include <cstdint>

#include "scenarios/model.h"

namespace lindos::sim {

// Pairs of (token, expert) on the fullest of `ranks` ranks over those on the mean one, in expectation; at least 1.
// Experts of a power-law popularity (exponent `skew`, expert_shares) lie on ranks at random, as engines place them that do not
// rebalance; each of `tokens` tokens chooses top_k different ones. E[max] = mean + m · sigma: m is the expected maximum of
// so many standard normals (Blom, Statistical Estimates and Transformed Beta-Variables, 1958), sigma² the variance of the sum of
// a random subset of a finite population plus the hypergeometric one of the choices. Never more than every token can send
// to one rank.
[[nodiscard]] double fullest_rank(const Moe& moe, std::int64_t ranks, double tokens, double skew);

}  // namespace lindos::sim
