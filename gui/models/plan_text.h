// SPDX-License-Identifier: GPL-3.0-or-later
// Keys of [plan], [plan.routing] and [plan.admission] changed in the text of a scenario, and nothing else of it: comments,
// order and spelling of the rest stay. No widgets.
#pragma once

#include <QString>

#include "scenarios/plan.h"

namespace lindos::gui {

// Why the plan cannot be changed in this text; empty: it can.
[[nodiscard]] QString why_plan_is_fixed(const QString& text);

// All below leave out what stands at its default, and keys that the policy does not take. REQUIRES: the plan can be changed.
[[nodiscard]] QString with_routing(const QString& text, const Routing& routing);
// In [plan], or in each of its groups.
[[nodiscard]] QString with_prefix_reuse(const QString& text, bool on);
// The same of kv_offload, a size such as "64 GB"; an empty one takes the key out. The loader checks the size.
[[nodiscard]] QString with_kv_offload(const QString& text, const QString& size);
// The bounds of [plan.admission] for all priorities, and its entry of one tenant; what sets no limit goes.
[[nodiscard]] QString with_unfinished_bounds(const QString& text, const UnfinishedBounds& bounds);
[[nodiscard]] QString with_tenant_limits(const QString& text, const TenantLimits& limits);
// The plan of `file`, in place of whatever plan the text has.
[[nodiscard]] QString with_plan_file(const QString& text, const QString& file);

}  // namespace lindos::gui
