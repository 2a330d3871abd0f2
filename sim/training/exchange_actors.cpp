// SPDX-License-Identifier: Apache-2.0
#include "sim/training/exchange_actors.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include <simgrid/s4u.hpp>

namespace lindos::sim {

namespace sg = simgrid::s4u;

namespace {

double now() { return sg::Engine::get_clock(); }

void sleep_until(Seconds t) {
  if (t.count() > now()) sg::this_actor::sleep_until(t.count());
}

}  // namespace

struct ExchangeActors::Ring {
  std::size_t index = 0;
  const ExchangeRing* plan = nullptr;
  Seconds known{0};          // the last end that is known beforehand
  Seconds expected{0};       // of all members
  std::int64_t awaited = 0;  // members that have yet to tell
  std::size_t sending = 0;   // nodes with flows under way
  sg::SemaphorePtr members_ended;
  sg::SemaphorePtr flows_ended;
  std::optional<Seconds> end;
};

ExchangeActors::ExchangeActors(const std::vector<ExchangeRing>& rings,
                               const FleetPlatform& platform)
    : platform_(platform) {
  for (const ExchangeRing& plan : rings) {
    Ring& ring = *rings_.emplace_back(std::make_unique<Ring>());
    ring.index = rings_.size() - 1;
    ring.plan = &plan;
    ring.members_ended = sg::Semaphore::create(0);
    ring.flows_ended = sg::Semaphore::create(0);
  }
}

ExchangeActors::~ExchangeActors() = default;

void ExchangeActors::add_known(std::size_t ring, Seconds end) {
  rings_[ring]->known = std::max(rings_[ring]->known, end);
  rings_[ring]->expected = std::max(rings_[ring]->expected, end);
}

void ExchangeActors::add_awaited(std::size_t ring, Seconds expected) {
  rings_[ring]->expected = std::max(rings_[ring]->expected, expected);
  ++rings_[ring]->awaited;
}

void ExchangeActors::ended(std::size_t ring) {
  if (--rings_[ring]->awaited == 0) rings_[ring]->members_ended->release();
}

void ExchangeActors::start() {
  for (const auto& ring : rings_)
    sg::Actor::create("ring", platform_.host(0), [this, r = ring.get()] { run(*r); });
}

bool ExchangeActors::has_ended(std::size_t ring) const { return rings_[ring]->end.has_value(); }

Seconds ExchangeActors::end(std::size_t ring) const { return rings_[ring]->end.value(); }

void ExchangeActors::run(Ring& ring) {
  const bool waits = ring.awaited > 0;
  if (!ring.plan->hidden.empty()) {
    sleep_until(ring.expected - ring.plan->window);
    for (const ExchangePhase& phase : ring.plan->hidden) run_phase(ring, phase);
  }
  sleep_until(ring.known);
  if (waits) ring.members_ended->acquire();
  for (const ExchangePhase& phase : ring.plan->exposed) run_phase(ring, phase);
  ring.end = Seconds(now());
}

void ExchangeActors::run_phase(Ring& ring, const ExchangePhase& phase) {
  sleep_until(Seconds(now()) + phase.start_up);
  if (phase.flows.empty()) return;
  struct Node {
    std::vector<const ExchangeFlow*> out;
    std::size_t in = 0;
  };
  std::map<std::int64_t, Node> nodes;  // ordered, so that equal runs create actors in equal order
  for (const ExchangeFlow& flow : phase.flows) {
    nodes[flow.from].out.push_back(&flow);
    ++nodes[flow.to].in;
  }
  const std::string prefix = "ring-" + std::to_string(ring.index) + "-";
  ring.sending = nodes.size();
  for (const auto& [name, node] : nodes) {
    sg::Actor::create("exchange", platform_.host(name), [&ring, &prefix, id = name, &flows = node] {
      std::vector<sg::CommPtr> comms;
      std::vector<Ring*> received(flows.in);  // SimGrid wants something to hand over
      comms.reserve(flows.in + flows.out.size());
      for (Ring*& slot : received)
        comms.push_back(sg::Mailbox::by_name(prefix + std::to_string(id))->get_async<Ring>(&slot));
      for (const ExchangeFlow* flow : flows.out) {
        sg::CommPtr comm =
            sg::Mailbox::by_name(prefix + std::to_string(flow->to))->put_init(&ring, 1);
        comm->set_remaining(flow->bytes.value());
        comm->set_rate(flow->rate.value());
        comm->start();
        comms.push_back(std::move(comm));
      }
      for (const sg::CommPtr& comm : comms) comm->wait();
      if (--ring.sending == 0) ring.flows_ended->release();
    });
  }
  ring.flows_ended->acquire();
}

}  // namespace lindos::sim
