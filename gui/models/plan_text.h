// SPDX-License-Identifier: GPL-3.0-or-later
// Keys of [plan] and [plan.routing] changed in the text of a scenario, and nothing else of it: comments, order and spelling
// of the rest stay. No widgets.
#pragma once

#include <QString>

#include "scenarios/plan.h"

namespace lindos::gui {

// Why the plan cannot be changed in this text; empty: it can.
[[nodiscard]] QString why_plan_is_fixed(const QString& text);

// Both below leave out what stands at its default, and keys that the policy does not take. REQUIRES: the plan can be changed.
[[nodiscard]] QString with_routing(const QString& text, const Routing& routing);
// In [plan], or in each of its groups.
[[nodiscard]] QString with_prefix_reuse(const QString& text, bool on);

}  // namespace lindos::gui
