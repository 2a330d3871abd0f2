// SPDX-License-Identifier: Apache-2.0
#include "scenarios/run_timeline.h"

#include <algorithm>

#include "scenarios/text_layout.h"

namespace lindos {

const std::vector<SpanKindInfo>& span_kinds() {
  static const std::vector<SpanKindInfo> kinds = {
      {SpanKind::kForward, "forward", "Forward",
       "A stage computes one micro-batch forward through one of its model chunks; exposed "
       "communication inside the stage "
       "(tensor, context, experts) is part of it."},
      {SpanKind::kBackward, "backward", "Backward",
       "A stage computes the gradients of one micro-batch through one of its model chunks, "
       "recomputation and exposed "
       "communication inside the stage included."},
      {SpanKind::kBubble, "bubble", "Bubble",
       "A stage has nothing to do because the input of its next pass has not arrived: the pipeline "
       "fills, drains or "
       "waits for a message."},
      {SpanKind::kStepWait, "step-wait", "Waiting",
       "A stage has ended its passes or its exchange and waits for other replicas or stages of the "
       "synchronous step."},
      {SpanKind::kExchange, "exchange", "Gradient exchange",
       "Reduce-scatter of gradients and all-gather of parameters among all ranks with the same "
       "weights, as far as no "
       "pass hides it."},
      {SpanKind::kOptimizer, "optimizer", "Optimizer",
       "Clipping and the update of the weights, once per step."},
      {SpanKind::kLinkSharing, "link-sharing", "Link sharing",
       "What the event level adds to the step because messages share links, put at its end."},
      {SpanKind::kArrival, "arrival", "Arrival", "The request arrives."},
      {SpanKind::kQueued, "queued", "Queued",
       "From arrival until the first step that computes some of the prompt."},
      {SpanKind::kPrefill, "prefill", "Prefill",
       "From the first step with some of the prompt to the first output token."},
      {SpanKind::kDecode, "decode", "Decode", "From the first output token to the last."},
      {SpanKind::kPrefillStep, "prefill-step", "Step with prompts",
       "A stage computes one step of the batch that holds tokens of prompts, and decodes beside "
       "them."},
      {SpanKind::kDecodeStep, "decode-step", "Step of decodes",
       "A stage computes one step of the batch that holds decodes only, one token for each "
       "request."},
      {SpanKind::kSend, "send", "Sending",
       "A stage sends its output to the next stage, or the sampled tokens back to the first."},
  };
  return kinds;
}

const SpanKindInfo& info_of(SpanKind kind) { return span_kinds()[static_cast<std::size_t>(kind)]; }

Seconds RunTimeline::end() const {
  Seconds last{0};
  for (const TimelineSpan& span : spans) last = std::max(last, span.end());
  return last;
}

void limit_spans(RunTimeline& timeline, std::size_t most) {
  std::vector<TimelineSpan>& spans = timeline.spans;
  const auto by_start = [](const TimelineSpan& a, const TimelineSpan& b) {
    return a.start < b.start;
  };
  if (const std::size_t all = spans.size(); all > most) {
    std::stable_sort(spans.begin(), spans.end(), by_start);
    const Seconds until = spans[most].start;
    spans.resize(most);
    timeline.cut += (timeline.cut.empty() ? "" : "; ") + std::string("the first ") +
                    with_thousands(static_cast<std::int64_t>(most)) + " of " +
                    with_thousands(static_cast<std::int64_t>(all)) + " spans, up to " +
                    number_text(until.count(), 4) + " s";
  }
  std::stable_sort(spans.begin(), spans.end(), [&](const TimelineSpan& a, const TimelineSpan& b) {
    return a.lane != b.lane ? a.lane < b.lane : by_start(a, b);
  });
}

}  // namespace lindos
