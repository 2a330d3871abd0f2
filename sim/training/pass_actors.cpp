// SPDX-License-Identifier: Apache-2.0
#include "sim/training/pass_actors.h"

#include <algorithm>
#include <string>
#include <utility>

#include <simgrid/s4u.hpp>

#include "sim/training/maxplus_training.h"
#include "sim/training/pass_messages.h"
#include "sim/training/pipeline_schedule.h"

namespace lindos::sim {

namespace sg = simgrid::s4u;

namespace {

double now() { return sg::Engine::get_clock(); }

void sleep_until(double t) {
  if (t > now()) sg::this_actor::sleep_until(t);
}

// A flow that the mailbox's owner receives when it likes; it moves at once. `delivered`: SimGrid
// wants something to hand over.
sg::CommPtr send_flow(sg::Mailbox* to, Bytes bytes, BytesPerSecond rate, void* delivered) {
  sg::CommPtr comm = to->put_init(delivered, 1);
  comm->set_remaining(bytes.value());
  comm->set_rate(rate.value());
  comm->start();
  return comm;
}

sg::Mailbox* experts_of(std::size_t group, std::int64_t replica, std::size_t stage) {
  return sg::Mailbox::by_name("experts-" + std::to_string(group) + "-" + std::to_string(replica) +
                              "-" + std::to_string(stage));
}

// Where one direction's messages to a stage arrive, in the order of their sending.
struct Inbox {
  sg::Mailbox* mailbox = nullptr;  // null: they stay inside a scale-up domain
  Seconds start_up{0};
  std::vector<double> arrivals;  // of messages without a flow, as they are sent
  std::size_t next = 0;
};

}  // namespace

struct PassActors::Shape {
  struct Work {
    double compute = 0.0;  // seconds that a slow device stretches
    double fixed = 0.0;
    Bytes message{0};  // of the whole stage
    Bytes expert{0};   // sent and fetched again
  };
  struct StageShape {
    std::vector<Pass> schedule;
    std::vector<Work> forward;  // [chunk]
    std::vector<Work> backward;
    Wire forward_wire;
    Wire backward_wire;
    BytesPerSecond nics{0};
  };
  std::vector<StageShape> stages;
  int chunks = 1;
};

struct PassActors::Stage {
  Inbox forward;
  Inbox backward;
  const Inbox* waiting = nullptr;  // for a message without a flow
  sg::SemaphorePtr arrived;
  std::vector<sg::Mailbox*> experts;  // of the replicas that hold other experts of the stage
  std::vector<sg::CommPtr> sent;  // kept until they are through: SimGrid ends a dead actor's flows
  double factor = 1.0;
};

struct PassActors::Replica {
  std::size_t group = 0;
  std::int64_t index = 0;
  std::vector<Stage> stages;
};

PassActors::PassActors(const TrainingJob& job, const Placement& placement, const StepDraw& draw,
                       const FleetPlatform& platform, OnEnd on_end)
    : job_(job),
      placement_(placement),
      draw_(draw),
      platform_(platform),
      on_end_(std::move(on_end)) {
  for (std::size_t g = 0; g < job.groups.size(); ++g) {
    const GroupJob& group = job.groups[g];
    Shape& shape = *shapes_.emplace_back(std::make_unique<Shape>());
    shape.chunks = group.virtual_stages;
    const auto stages = static_cast<int>(group.stages.size());
    for (std::size_t s = 0; s < group.stages.size(); ++s) {
      const StageJob& stage = group.stages[s];
      const auto devices = static_cast<double>(stage.devices);
      Shape::StageShape& own = shape.stages.emplace_back();
      own.schedule = stage_schedule(stages, shape.chunks, group.micro_batches, static_cast<int>(s));
      own.forward_wire = wire_of(group, s, false);
      own.backward_wire = wire_of(group, s, true);
      own.nics = placement.nic(g, s) * devices;
      for (const ChunkWork& chunk : stage.chunks) {
        // Dispatch and combine.
        const Bytes expert = chunk.expert_message * (2.0 * devices);
        own.forward.push_back({chunk.forward.compute().count(),
                               chunk.forward.communication().count(),
                               chunk.forward_message * devices, expert});
        own.backward.push_back({chunk.backward.compute().count(),
                                chunk.backward.communication().count(),
                                chunk.backward_message * devices, expert});
      }
    }
  }
}

PassActors::~PassActors() = default;

void PassActors::add(std::size_t group, std::int64_t index) {
  Replica& replica = *replicas_.emplace_back(std::make_unique<Replica>());
  replica.group = group;
  replica.index = index;
  const Shape& shape = *shapes_[group];
  const std::size_t stages = shape.stages.size();
  replica.stages.resize(stages);
  std::vector<float> buffer;
  const float* const factors =
      factors_of(job_, draw_, group, static_cast<std::size_t>(index) * stages, buffer);
  const std::string name = std::to_string(group) + "-" + std::to_string(index) + "-";
  std::vector<sg::ActorPtr> actors;
  for (std::size_t s = 0; s < stages; ++s) {
    Stage& stage = replica.stages[s];
    if (factors != nullptr) stage.factor = static_cast<double>(factors[s]);
    stage.arrived = sg::Semaphore::create(0);
    for (const std::int64_t peer : expert_peers(job_, placement_, group, index, s))
      stage.experts.push_back(experts_of(group, peer, s));
    actors.push_back(sg::Actor::create("passes", platform_.host(placement_.node(group, index, s)),
                                       [this, &replica, s] { run(replica, s); }));
    // Peers may still send when this stage has run its passes: it stays, and does not keep the run
    // going.
    if (!stage.experts.empty()) {
      actors.back()->daemonize();
      experts_of(group, index, s)->set_receiver(actors.back());
    }
  }
  for (std::size_t s = 0; s < stages; ++s) {
    for (const bool backward : {false, true}) {
      const Wire& wire = backward ? shape.stages[s].backward_wire : shape.stages[s].forward_wire;
      Inbox& inbox = backward ? replica.stages[wire.to].backward : replica.stages[wire.to].forward;
      inbox.start_up = wire.start_up;
      if (placement_.fleet().same_domain(placement_.node(group, index, s),
                                         placement_.node(group, index, wire.to)))
        continue;
      inbox.mailbox = sg::Mailbox::by_name((backward ? "backward-" : "forward-") + name +
                                           std::to_string(wire.to));
      inbox.mailbox->set_receiver(actors[wire.to]);
    }
  }
}

void PassActors::run(Replica& replica, std::size_t index) {
  const Shape& shape = *shapes_[replica.group];
  const Shape::StageShape& own = shape.stages[index];
  Stage& stage = replica.stages[index];
  const std::size_t last = shape.stages.size() - 1;

  const auto receive = [&](Inbox& inbox) {
    if (inbox.mailbox != nullptr) {
      Replica* delivered = nullptr;
      const sg::CommPtr comm = inbox.mailbox->get_async<Replica>(&delivered);
      comm->wait();
      sleep_until(comm->get_finish_time() + inbox.start_up.count());
      return;
    }
    while (inbox.next == inbox.arrivals.size()) {
      stage.waiting = &inbox;
      stage.arrived->acquire();
    }
    sleep_until(inbox.arrivals[inbox.next++]);
  };
  const auto send = [&](const Wire& wire, Bytes bytes, bool backward) {
    Stage& to = replica.stages[wire.to];
    Inbox& inbox = backward ? to.backward : to.forward;
    if (inbox.mailbox != nullptr) {
      stage.sent.push_back(send_flow(inbox.mailbox, bytes, wire.rate, &replica));
      return;
    }
    // To the next chunk of the only stage nothing is sent.
    const Seconds way = wire.to == index ? Seconds{0} : wire.start_up + bytes / wire.rate;
    inbox.arrivals.push_back(now() + way.count());
    if (to.waiting == &inbox) {
      to.waiting = nullptr;
      to.arrived->release();
    }
  };
  std::size_t turn = 0;  // of the replicas with other experts
  const auto compute = [&](const Shape::Work& work) {
    const double end = now() + work.compute * stage.factor + work.fixed;
    if (!stage.experts.empty() && work.expert.value() > 0.0) {
      // All to all, one peer after the other from pass to pass: NICs carry each pass's bytes, pools
      // between tiers on average.
      sg::Mailbox* const to = stage.experts[turn++ % stage.experts.size()];
      sleep_until(end - (work.expert / own.nics).count());
      send_flow(to, work.expert, own.nics, &replica)->wait();
    }
    sleep_until(end);
  };

  for (const Pass& pass : own.schedule) {
    const auto chunk = static_cast<std::size_t>(pass.chunk);
    const bool first_chunk = pass.chunk == 0;
    const bool last_chunk = pass.chunk + 1 == shape.chunks;
    if (pass.backward) {
      if (index < last || !last_chunk) receive(stage.backward);
      compute(own.backward[chunk]);
      if (index > 0 || !first_chunk) send(own.backward_wire, own.backward[chunk].message, true);
    } else {
      if (index > 0 || !first_chunk) receive(stage.forward);
      compute(own.forward[chunk]);
      if (index < last || !last_chunk) send(own.forward_wire, own.forward[chunk].message, false);
    }
  }
  on_end_(index);
  for (const sg::CommPtr& comm : stage.sent) comm->wait();
  stage.sent.clear();
  // Stays to be sent to until the run ends. Not suspended: SimGrid suspends what is sent to such an
  // actor.
  if (!stage.experts.empty()) stage.arrived->acquire();
}

}  // namespace lindos::sim
