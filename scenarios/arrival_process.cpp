// SPDX-License-Identifier: Apache-2.0
#include "scenarios/arrival_process.h"

#include <algorithm>
#include <cmath>

#include "scenarios/error.h"
#include "scenarios/exponential_draw.h"
#include "scenarios/philox.h"
#include "scenarios/portable_math.h"

namespace lindos {

namespace {

std::uint32_t low_word(std::uint64_t value) { return static_cast<std::uint32_t>(value); }
std::uint32_t high_word(std::uint64_t value) { return static_cast<std::uint32_t>(value >> 32U); }

// Standard normal from one word (Box and Muller, 1958).
double normal(std::uint64_t word) {
  const double radius = std::sqrt(-2.0 * portable::log(open_unit(high_word(word))));
  return radius * portable::cos_of_turns(open_unit(low_word(word)));
}

std::int64_t whole_microseconds(double microseconds) {
  // 2^53 us are 285 years; beyond it a double no longer holds every microsecond.
  if (!(microseconds < 0x1p53)) {
    throw Error(ErrorKind::kInput, "workload",
                "at this rate the last request arrives after centuries");
  }
  return std::llround(microseconds);
}

class Together final : public ArrivalProcess {
 public:
  std::int64_t arrival_us(std::uint64_t) override { return 0; }
};

class Even final : public ArrivalProcess {
 public:
  explicit Even(Hertz rate) : mean_gap_us_(1e6 / rate.value()) {}
  // From the index, not by adding gaps: rounding does not accumulate.
  std::int64_t arrival_us(std::uint64_t id) override {
    return whole_microseconds(static_cast<double>(id) * mean_gap_us_);
  }

 private:
  double mean_gap_us_;
};

// Gaps that do not depend on each other, with mean 1 before they are stretched to the rate; the first request
// arrives at 0.
class Renewal : public ArrivalProcess {
 public:
  Renewal(Hertz rate, std::uint64_t seed) : seed_(seed), mean_gap_us_(1e6 / rate.value()) {}
  std::int64_t arrival_us(std::uint64_t id) final {
    if (id == 0) return 0;
    const std::int64_t gap_us = whole_microseconds(gap(id) * mean_gap_us_);
    arrival_us_ = whole_microseconds(static_cast<double>(arrival_us_) + static_cast<double>(gap_us));
    return arrival_us_;
  }

 protected:
  [[nodiscard]] virtual double gap(std::uint64_t id) const = 0;
  std::uint64_t seed_;

 private:
  double mean_gap_us_;
  std::int64_t arrival_us_ = 0;
};

class Poisson final : public Renewal {
 public:
  using Renewal::Renewal;
  double gap(std::uint64_t id) const override {
    return exponential_draw(high_word(draw_words(seed_, id, Draw::kGap).first));
  }
};

class Gamma final : public Renewal {
 public:
  Gamma(Hertz rate, double variation, std::uint64_t seed)
      : Renewal(rate, seed), shape_(1.0 / (variation * variation)) {}
  double gap(std::uint64_t id) const override { return gamma_gap(shape_, seed_, id, Draw::kGap); }

 private:
  double shape_;
};

// A Poisson process whose rate changes in steps: gaps start afresh where it does, which changes nothing because
// exponential gaps have no memory.
class Bursty final : public ArrivalProcess {
 public:
  Bursty(const ServingWorkload& workload, std::uint64_t seed) : seed_(seed) {
    const ArrivalShape& shape = workload.shape;
    const double share = shape.burst_share;
    gap_us_[1] = 1e6 / shape.burst_rate.value();
    const double calm = (workload.rate.value() - share * shape.burst_rate.value()) / (1.0 - share);
    gap_us_[0] = calm > 0.0 ? 1e6 / calm : 0.0;
    length_us_[1] = shape.burst_length.count() * 1e6;
    length_us_[0] = length_us_[1] * (1.0 - share) / share;
  }
  std::int64_t arrival_us(std::uint64_t id) override {
    for (std::uint32_t turn = 0;; ++turn) {
      const DrawnWords words = draw_words(seed_, id, Draw::kGap, turn);
      if (until_us_ <= now_us_) {
        burst_ = started_ && !burst_;
        started_ = true;
        until_us_ = now_us_ + exponential_draw(high_word(words.second)) * length_us_[burst_];
      }
      const double gap = gap_us_[burst_];
      const double next = now_us_ + exponential_draw(high_word(words.first)) * gap;
      if (gap > 0.0 && next < until_us_) {
        now_us_ = next;
        return whole_microseconds(now_us_);
      }
      now_us_ = until_us_;
    }
  }

 private:
  std::uint64_t seed_;
  double gap_us_[2] = {0.0, 0.0};     // [burst]; 0 = none arrives
  double length_us_[2] = {0.0, 0.0};  // [burst]
  bool burst_ = false;
  bool started_ = false;              // begins between bursts
  double now_us_ = 0.0;
  double until_us_ = 0.0;
};

// Thinning of a process at the peak's rate (Lewis and Shedler, 1979).
class Diurnal final : public ArrivalProcess {
 public:
  Diurnal(const ServingWorkload& workload, std::uint64_t seed)
      : seed_(seed), swing_(workload.shape.swing), period_us_(workload.shape.period.count() * 1e6),
        peak_us_(workload.shape.peak_at.count() * 1e6),
        gap_us_(1e6 / (workload.rate.value() * (1.0 + workload.shape.swing))) {}
  std::int64_t arrival_us(std::uint64_t id) override {
    for (std::uint32_t turn = 0;; ++turn) {
      const DrawnWords words = draw_words(seed_, id, Draw::kGap, turn);
      now_us_ += exponential_draw(high_word(words.first)) * gap_us_;
      const double turns = (now_us_ - peak_us_) / period_us_;
      const double rate = (1.0 + swing_ * portable::cos_of_turns(turns)) / (1.0 + swing_);
      if (unit_draw(words.second) < rate) return whole_microseconds(now_us_);
    }
  }

 private:
  std::uint64_t seed_;
  double swing_;
  double period_us_;
  double peak_us_;
  double gap_us_;
  double now_us_ = 0.0;
};

}  // namespace

std::unique_ptr<ArrivalProcess> arrival_process(const ServingWorkload& workload, std::uint64_t seed) {
  switch (workload.arrival) {
    case Arrival::kPoisson: return std::make_unique<Poisson>(workload.rate, seed);
    case Arrival::kUniform: return std::make_unique<Even>(workload.rate);
    case Arrival::kGamma: return std::make_unique<Gamma>(workload.rate, workload.shape.variation, seed);
    case Arrival::kBursty: return std::make_unique<Bursty>(workload, seed);
    case Arrival::kDiurnal: return std::make_unique<Diurnal>(workload, seed);
    case Arrival::kTogether:
    case Arrival::kClosedLoop:
    case Arrival::kRecorded: break;
  }
  return std::make_unique<Together>();
}

DrawnWords draw_words(std::uint64_t seed, std::uint64_t request, Draw purpose, std::uint32_t turn) {
  const PhiloxCounter words =
      philox({low_word(request), high_word(request), static_cast<std::uint32_t>(purpose), turn},
             {low_word(seed), high_word(seed)});
  const auto join = [](std::uint32_t low, std::uint32_t high) {
    return static_cast<std::uint64_t>(high) << 32U | low;
  };
  return {join(words[0], words[1]), join(words[2], words[3])};
}

double unit_draw(std::uint64_t word) { return static_cast<double>(word >> 11U) * 0x1p-53; }

// Marsaglia and Tsang, "A simple method for generating gamma variables", ACM TOMS 26 (2000); below shape 1 a draw of
// shape + 1 times u^(1/shape), as they say.
double gamma_gap(double shape, std::uint64_t seed, std::uint64_t request, Draw purpose) {
  const bool small = shape < 1.0;
  const double d = (small ? shape + 1.0 : shape) - 1.0 / 3.0;
  const double c = 1.0 / std::sqrt(9.0 * d);
  for (std::uint32_t turn = 0;; ++turn) {
    const DrawnWords words = draw_words(seed, request, purpose, turn);
    const double x = normal(words.first);
    const double root = 1.0 + c * x;
    if (root <= 0.0) continue;
    const double v = root * root * root;
    if (portable::log(open_unit(high_word(words.second))) >= 0.5 * x * x + d - d * v + d * portable::log(v)) continue;
    const double boost = small ? portable::exp(portable::log(open_unit(low_word(words.second))) / shape) : 1.0;
    return d * v * boost / shape;
  }
}

// By inverse transform; the mean of scale 1 is Γ(1 + 1/shape).
double weibull_gap(double shape, std::uint64_t seed, std::uint64_t request, Draw purpose) {
  const double exponential = exponential_draw(high_word(draw_words(seed, request, purpose).first));
  // −ln of a draw is at least 2^-33: far from the least normal number.
  return portable::exp(portable::log(exponential) / shape - portable::log_gamma(1.0 + 1.0 / shape));
}

std::int64_t draw_length(const LengthRange& range, std::uint64_t word) {
  if (range.median > 0.0) {
    const double drawn = range.median * portable::exp(range.sigma * normal(word));
    const double bounded = std::clamp(drawn, static_cast<double>(range.low), static_cast<double>(range.high));
    return std::llround(bounded);
  }
  const double u = unit_draw(word);
  if (!range.quantiles.empty()) {
    const double position = u * static_cast<double>(range.quantiles.size() - 1);
    const auto below = static_cast<std::size_t>(position);
    const auto low = static_cast<double>(range.quantiles[below]);
    const auto high = static_cast<double>(range.quantiles[below + 1]);
    return std::llround(low + (position - static_cast<double>(below)) * (high - low));
  }
  // Exact IEEE arithmetic, so the same everywhere.
  const auto count = static_cast<double>(range.high - range.low + 1);
  return std::min(range.high, range.low + static_cast<std::int64_t>(u * count));
}

}  // namespace lindos
