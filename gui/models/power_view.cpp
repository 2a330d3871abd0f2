// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/models/power_view.h"

#include <QObject>
#include <algorithm>
#include <cmath>
#include <utility>

#include "gui/models/cells.h"
#include "gui/models/format.h"

namespace lindos::gui {

namespace {

constexpr const char* kLimit = "power_limit_w";

// Of the devices that the job takes: what each pool's may draw, and how many they are.
struct PoolLimit {
  double watts = 0.0;
  std::int64_t devices = 0;
};

std::vector<PoolLimit> limits_of(const Fleet& fleet) {
  std::vector<PoolLimit> out(fleet.map().pools.size());
  const std::vector<float>* values = fleet.values(kLimit);
  if (values == nullptr) return {};
  std::size_t device = 0;
  for (std::size_t p = 0; p < fleet.map().pools.size(); ++p) {
    for (std::int64_t d = 0; d < fleet.map().pools[p].devices(); ++d, ++device) {
      if (std::isnan((*values)[device])) continue;
      out[p].watts += static_cast<double>((*values)[device]);
      ++out[p].devices;
    }
  }
  return out;
}

PowerBar pools_bar(const SitePower& site, const QString& name, const QString& sentence,
                   Watts PoolPower::*own) {
  PowerBar bar{name, sentence, {}, std::nullopt, std::nullopt};
  Watts sum{0};
  for (std::size_t p = 0; p < site.pools.size(); ++p) {
    bar.segments.push_back({QString::fromStdString(site.pools[p].pool), static_cast<int>(p),
                            (site.pools[p].*own).value()});
    sum += site.pools[p].*own;
  }
  if (const double extra = (site.at_meter(sum) - sum).value(); extra > 0.0)
    bar.segments.push_back({QObject::tr("cooling and losses"), -1, extra});
  return bar;
}

}  // namespace

double PowerBar::watts() const {
  double sum = 0.0;
  for (const PowerSegment& segment : segments) sum += segment.watts;
  return sum;
}

QString watts_text(double watts) {
  const double size = std::abs(watts);
  if (size >= 1e6) return QString::number(watts / 1e6, 'f', 1) + " MW";
  if (size >= 1e4) return QString::number(watts / 1e3, 'f', 1) + " kW";
  return counted(std::llround(watts)) + " W";
}

PowerView power_view(const SitePower& site, const RunRecord* record, const Fleet* fleet) {
  PowerView view;
  view.cap = site.limits.site_cap.value();
  const bool nodes = std::all_of(site.pools.begin(), site.pools.end(),
                                 [](const PoolPower& p) { return p.whole_nodes; });
  const QString what = nodes ? QObject::tr("nodes with their hosts")
                             : QObject::tr("GPUs alone where the scenario gives no node power");
  view.bars.push_back(pools_bar(
      site, QObject::tr("Nameplate"),
      QObject::tr("What all nodes may draw by their nameplates, with cooling and losses: %1.")
          .arg(what),
      &PoolPower::nameplate));
  view.bars.push_back(pools_bar(site, QObject::tr("At rest"),
                                QObject::tr("The same when nothing runs: %1.").arg(what),
                                &PoolPower::idle));
  const std::vector<PoolLimit> limits =
      fleet != nullptr ? limits_of(*fleet) : std::vector<PoolLimit>{};
  if (!limits.empty()) {
    PowerBar bar{QObject::tr("GPUs of the job at their limit"),
                 QObject::tr("What the GPUs of the predicted job may draw: their own maximum, the "
                             "cap of a device, or what "
                             "the cap of the site leaves after hosts and cooling. Not what they do "
                             "draw; without hosts."),
                 {},
                 std::nullopt,
                 std::nullopt};
    for (std::size_t p = 0; p < limits.size(); ++p)
      bar.segments.push_back({QString::fromStdString(fleet->map().pools[p].name),
                              static_cast<int>(p), limits[p].watts});
    view.bars.push_back(std::move(bar));
  }
  if (record != nullptr) {
    if (const auto found = record->metrics.find("power_w"); found != record->metrics.end()) {
      const MetricValue& power = found->second;
      const bool measured = record->source == RunSource::kMeasured;
      view.bars.push_back(
          {measured ? QObject::tr("GPUs of the run, measured")
                    : QObject::tr("GPUs of the run, predicted"),
           QObject::tr("Mean power of all devices of the run over its time, without hosts."),
           {{QObject::tr("all GPUs of the run"), -1, power.p50}},
           power.p10,
           power.p90});
    }
  }

  const double demand = view.bars.front().watts();
  view.over = view.cap > 0.0 && demand > view.cap;
  if (demand == 0.0) {
    view.headline = QObject::tr("The scenario states no power of its nodes or devices.");
  } else if (view.cap == 0.0) {
    view.headline = QObject::tr("At most %1 at the meter by nameplate; the site has no cap.")
                        .arg(watts_text(demand));
  } else {
    view.headline =
        QObject::tr("At most %1 at the meter by nameplate, %2 of the cap of %3: %4.")
            .arg(watts_text(demand), percent(demand / view.cap), watts_text(view.cap),
                 view.over ? QObject::tr("%1 too much if all draw it at once")
                                 .arg(watts_text(demand - view.cap))
                           : QObject::tr("%1 to spare").arg(watts_text(view.cap - demand)));
  }

  view.table.columns = {QObject::tr("Pool"),         QObject::tr("Nodes"),
                        QObject::tr("GPUs"),         QObject::tr("Nameplate"),
                        QObject::tr("Of the cap"),   QObject::tr("At rest"),
                        QObject::tr("GPU may draw"), QObject::tr("From")};
  for (std::size_t p = 0; p < site.pools.size(); ++p) {
    const PoolPower& pool = site.pools[p];
    const double at_meter = site.at_meter(pool.nameplate).value();
    const bool limited = p < limits.size() && limits[p].devices > 0;
    const double each = limited ? limits[p].watts / static_cast<double>(limits[p].devices) : 0.0;
    TableRow row;
    row.key = static_cast<std::int64_t>(p);
    row.cells = {
        word(QString::fromStdString(pool.pool)),
        number(counted(pool.nodes), static_cast<double>(pool.nodes)),
        number(counted(pool.devices), static_cast<double>(pool.devices)),
        number(watts_text(at_meter), at_meter),
        view.cap > 0.0 ? number(percent(at_meter / view.cap), at_meter / view.cap) : absent(),
        number(watts_text(site.at_meter(pool.idle).value()), pool.idle.value()),
        limited ? number(watts_text(each), each)
                : absent(QObject::tr("Predictions know it, where the power of these devices is known.")),
        word(pool.whole_nodes ? QObject::tr("nodes, × PUE %1").arg(site.limits.pue)
                              : QObject::tr("devices, × PUE %1").arg(site.limits.pue))};
    view.table.rows.push_back(std::move(row));
  }
  return view;
}

std::optional<PowerOverTime> power_over_time(const RunSamples& samples, const RunRecord& record, const SitePower& site) {
  PowerOverTime power;
  std::vector<QString> limits;
  const auto pool_of = [&](const std::string& subject) {
    for (std::size_t p = 0; p < site.pools.size(); ++p) {
      if (subject == "pool " + site.pools[p].pool) return static_cast<int>(p);
    }
    return -1;
  };
  for (const SampleSeries& series : samples.series) {
    if (series.points.empty()) continue;
    const int pool = pool_of(series.subject);
    const bool mean = series.quantity == "power_mean_w";
    if (series.quantity == "power_cap_w") power.cap = static_cast<double>(series.points.front().value);
    if (series.quantity == "device_limit_w" && pool >= 0) {
      limits.push_back(QObject::tr("%1 per GPU of %2")
                           .arg(watts_text(static_cast<double>(series.points.front().value)),
                                QString::fromStdString(site.pools[static_cast<std::size_t>(pool)].pool)));
    }
    if (!mean && series.quantity != "power_most_w") continue;
    if (mean) {
      power.lines.push_back({pool < 0 ? QObject::tr("site")
                                      : QString::fromStdString(site.pools[static_cast<std::size_t>(pool)].pool),
                             pool, {}, {}, {}});
    }
    if (power.lines.empty()) continue;
    PowerLine& line = power.lines.back();
    for (const SamplePoint& point : series.points) {
      if (mean) line.t_s.push_back(static_cast<double>(point.t_s));
      (mean ? line.mean : line.most).push_back(static_cast<double>(point.value));
    }
  }
  const bool whole = std::all_of(power.lines.begin(), power.lines.end(), [&](const PowerLine& line) {
    return line.mean.size() == line.most.size() && line.t_s == power.lines.front().t_s;
  });
  if (power.lines.empty() || power.lines.front().pool >= 0 || !whole) return std::nullopt;
  const PowerLine& all = power.lines.front();
  const double peak = *std::max_element(all.most.begin(), all.most.end());
  QString most = watts_text(peak);
  if (const auto known = record.metrics.find("site_power_peak_w"); known != record.metrics.end()) {
    most += QObject::tr(" (P10–P90 %1 – %2, %3)")
                .arg(watts_text(known->second.p10), watts_text(known->second.p90), to_qt(known->second.provenance));
  }
  power.headline = power.cap > 0.0 ? QObject::tr("Over time: the site draws at most %1 at the meter, %2 of its cap.")
                                         .arg(most, percent(peak / power.cap))
                                   : QObject::tr("Over time: the site draws at most %1 at the meter.").arg(most);
  for (std::size_t i = 0; i < limits.size(); ++i)
    power.headline += (i == 0 ? QObject::tr(" Held to ") : QString(", ")) + limits[i];
  if (!limits.empty()) power.headline += ".";
  power.table.columns = {QObject::tr("Around")};
  for (const PowerLine& line : power.lines)
    power.table.columns << QObject::tr("%1, mean").arg(line.name) << QObject::tr("%1, at most").arg(line.name);
  for (std::size_t i = 0; i < all.t_s.size(); ++i) {
    TableRow row;
    row.key = static_cast<std::int64_t>(i);
    row.cells.push_back(number(QString::number(all.t_s[i], 'f', 1) + " s", all.t_s[i]));
    for (const PowerLine& line : power.lines) {
      row.cells.push_back(number(watts_text(line.mean[i]), line.mean[i]));
      row.cells.push_back(number(watts_text(line.most[i]), line.most[i]));
    }
    power.table.rows.push_back(std::move(row));
  }
  return power;
}

}  // namespace lindos::gui
