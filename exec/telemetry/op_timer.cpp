// SPDX-License-Identifier: Apache-2.0
#include "exec/telemetry/op_timer.h"

#include "scenarios/error.h"

namespace lindos::exec {

std::string_view name_of(OpFamily family) {
  switch (family) {
    case OpFamily::kEmbedding: return "embedding";
    case OpFamily::kElementwise: return "elementwise";
    case OpFamily::kQkv: return "qkv";
    case OpFamily::kAttention: return "attention";
    case OpFamily::kO: return "o";
    case OpFamily::kRoute: return "route";
    case OpFamily::kGateUp: return "gate_up";
    case OpFamily::kDown: return "down";
    case OpFamily::kLmHead: return "lm_head";
    case OpFamily::kSample: return "sample";
    case OpFamily::kCommunication: return "communication";
    case OpFamily::kKvCopy: return "kv_copy";
  }
  return "";
}

OpFamily family_of(const Op& op) {
  switch (op.kind) {
    case OpKind::kEmbedding: return OpFamily::kEmbedding;
    case OpKind::kNorm:
    case OpKind::kActivation:
    case OpKind::kResidual: return OpFamily::kElementwise;
    case OpKind::kRopeKvWrite:
    case OpKind::kAttentionPrefill:
    case OpKind::kAttentionDecode: return OpFamily::kAttention;
    case OpKind::kSample: return OpFamily::kSample;
    case OpKind::kAllReduce:
    case OpKind::kAllGather:
    case OpKind::kAllToAll:
    case OpKind::kSendRecv: return OpFamily::kCommunication;
    case OpKind::kMoeRoute: return OpFamily::kRoute;
    case OpKind::kMoeGemm:
    case OpKind::kGemm: break;
    // The engine does not train.
    case OpKind::kAttentionBackward:
    case OpKind::kBatchedGemm:
    case OpKind::kSoftmax:
    case OpKind::kDropout:
    case OpKind::kQuantise:
    case OpKind::kLoss:
    case OpKind::kReduceScatter:
    case OpKind::kRingExchange:
    case OpKind::kOptimizer: LINDOS_ASSERT(false, "an op of training in a step of the engine"); break;
  }
  switch (op.site) {
    case GemmSite::kQkv:
    case GemmSite::kMlaDown:
    case GemmSite::kMlaUp: return OpFamily::kQkv;
    case GemmSite::kO: return OpFamily::kO;
    case GemmSite::kGateUp: return OpFamily::kGateUp;
    case GemmSite::kLmHead: return OpFamily::kLmHead;
    case GemmSite::kDown:
    case GemmSite::kRouter:
    case GemmSite::kScores:
    case GemmSite::kContext:
    case GemmSite::kNone: break;
  }
  return OpFamily::kDown;
}

}  // namespace lindos::exec
