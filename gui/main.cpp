// SPDX-License-Identifier: GPL-3.0-or-later
// lindos-gui [SCENARIO], or lindos-gui --screenshot VIEW FILE [SCENARIO]: predicts the scenario, then writes the
// window.
#include <QApplication>
#include <QCommandLineParser>
#include <QSettings>
#include <QStandardPaths>
#include <QTemporaryDir>
#include <QTimer>
#include <cstdio>
#include <functional>
#include <optional>

#include "gui/app/main_window.h"
#include "gui/work/print_html.h"

namespace {

using lindos::gui::AfterOpen;
using lindos::gui::MainWindow;
using lindos::gui::View;

constexpr int kInput = 1;
constexpr int kUsage = 2;
constexpr int kEnvironment = 4;

int usage(const QString& text) {
  std::fprintf(stderr, "lindos-gui: %s\n", qPrintable(text));
  return kUsage;
}

std::optional<View> view_named(const QString& name) {
  if (name == "start") return View::kStart;
  if (name == "scenario") return View::kWhy;
  if (name == "cluster") return View::kCluster;
  if (name == "why") return View::kWhy;
  if (name == "plans") return View::kPlans;
  if (name == "launch") return View::kPlans;
  if (name == "timeline") return View::kTimeline;
  if (name == "live") return View::kLive;
  if (name == "power") return View::kPower;
  if (name == "accuracy") return View::kAccuracy;
  if (name == "compare") return View::kCompare;
  if (name == "runs") return View::kRuns;
  return std::nullopt;
}

// Writes the window once it shows the answer; with `compare` or the view of that name, once it shows the pair.
void shoot_when_settled(MainWindow& window, View view, const QString& file, std::optional<std::int64_t> compare,
                        std::function<void()> prepare) {
  auto* paired = new bool(view != View::kCompare && !compare);
  QObject::connect(&window, &QObject::destroyed, [paired] { delete paired; });
  QObject::connect(&window, &MainWindow::settled, &window,
                   [&window, view, file, compare, paired, prepare = std::move(prepare)] {
    if (window.job().running()) return;
    // The list of runs is answered after the run itself; half a second also lets layouts come to rest.
    QTimer::singleShot(500, &window, [&window, view, file, compare, paired, prepare] {
      if (!*paired) {
        *paired = true;
        if (compare) return window.compare_with(*compare);
        if (window.compare_newest()) return;
        std::fprintf(stderr, "lindos-gui: --screenshot compare: the store has fewer than two runs; lindos predict "
                             "SCENARIO --db FILE adds one\n");
        QCoreApplication::exit(kInput);
        return;
      }
      window.show_view(view);
      if (prepare) prepare();
      QTimer::singleShot(200, &window, [&window, file] {
        const bool written = window.grab().save(file);
        if (!written) std::fprintf(stderr, "lindos-gui: %s: cannot be written\n", qPrintable(file));
        QCoreApplication::exit(written ? 0 : kEnvironment);
      });
    });
  });
}

}  // namespace

int main(int argc, char** argv) {
  QApplication app(argc, argv);
  QApplication::setOrganizationName("lindos");
  QApplication::setApplicationName("lindos-gui");

  QCommandLineParser parser;
  parser.setApplicationDescription("Lindos' desktop: predict a scenario, see where the peak goes, compare runs.");
  parser.addHelpOption();
  const QCommandLineOption db("db", "SQLite store [the verbs' default].", "FILE");
  const QCommandLineOption fidelity("fidelity", "closed, maxplus or simgrid [simgrid].", "NAME", "simgrid");
  const QCommandLineOption profile("profile", "Device profile for predictions.", "FILE");
  const QCommandLineOption theme("theme", "light or dark [as the desktop].", "NAME");
  const QCommandLineOption explain("explain", "With --screenshot of a training scenario: explain it too.");
  const QCommandLineOption search("search", "With --screenshot: search the scenario's plans instead of predicting it.");
  const QCommandLineOption screenshot(
      "screenshot",
      "start, scenario, cluster, why, plans, launch, timeline, live, power, accuracy, compare or runs: "
      "predicts SCENARIO (launch: only checks whether it runs here; live: also runs it), writes the window to FILE, ends.",
      "VIEW");
  const QCommandLineOption colour("colour-by",
                                  "With --screenshot: quantity of the map, e.g. slowdown, waiting, device.", "NAME");
  const QCommandLineOption select("select",
                                  "With --screenshot: what to find on the map, e.g. \"h100 rack "
                                  "12\", or gate; or in the timeline.",
                                  "TEXT");
  const QCommandLineOption compare("compare", "A run of the store, as B; the shown run is A.", "RUN");
  const QCommandLineOption size("size", "With --screenshot: of the window, e.g. 1600x1000.", "WxH");
  const QCommandLineOption print("print", "Prints a report page HTML to PDF, for lindos report.", "HTML");
  parser.addOptions({print, db, fidelity, profile, theme, explain, search, screenshot, colour, select, compare, size});
  parser.addPositionalArgument("SCENARIO",
                               "Scenario or timeline to open; with --screenshot: FILE [SCENARIO].",
                               "[SCENARIO]");
  parser.process(app);

  lindos::gui::WindowOptions options;
  options.lindos = QCoreApplication::applicationDirPath() + "/lindos";
  const QString shared = QStandardPaths::writableLocation(QStandardPaths::GenericDataLocation);
  options.store = (parser.isSet(db) ? parser.value(db) : shared + "/lindos/lindos.db").toStdString();
  options.fidelity = parser.value(fidelity);
  options.profile = parser.value(profile);
  if (options.fidelity != "closed" && options.fidelity != "maxplus" && options.fidelity != "simgrid") {
    return usage("--fidelity: expected closed, maxplus or simgrid, saw \"" + options.fidelity + "\"");
  }
  if (parser.isSet(theme)) {
    const QString name = parser.value(theme);
    if (name != "light" && name != "dark") return usage("--theme: expected light or dark, saw \"" + name + "\"");
    options.theme = name == "dark" ? lindos::gui::ThemeChoice::kDark : lindos::gui::ThemeChoice::kLight;
  }
  std::optional<std::int64_t> other;
  if (parser.isSet(compare)) {
    other = parser.value(compare).toLongLong();
    if (*other < 1) return usage("--compare: expected the number of a run, saw \"" + parser.value(compare) + "\"");
  }
  QStringList words = parser.positionalArguments();
  if (parser.isSet(print)) {
    if (words.size() != 1) return usage("--print HTML needs a PDF to write");
    const QString error = lindos::gui::print_html(parser.value(print), words.first());
    if (!error.isEmpty()) std::fprintf(stderr, "lindos-gui: %s\n", qPrintable(error));
    return error.isEmpty() ? 0 : kEnvironment;
  }

  // Pictures do not depend on what this user did before, and leave no trace in the settings.
  QTemporaryDir settings;
  std::optional<View> view;
  QString picture;
  if (parser.isSet(screenshot)) {
    view = view_named(parser.value(screenshot));
    if (!view)
      return usage(
          "--screenshot: expected start, scenario, cluster, why, plans, launch, timeline, live, power, accuracy, "
          "compare or runs, "
          "saw \"" +
          parser.value(screenshot) + "\"");
    if (words.isEmpty()) return usage("--screenshot VIEW needs a FILE to write");
    // Qt empties a file before it finds that it cannot write its format: a scenario in FILE's place would be lost.
    if (!words.front().endsWith(".png", Qt::CaseInsensitive))
      return usage("--screenshot VIEW: FILE must end in .png, saw \"" + words.front() +
                   "\"; SCENARIO stands behind it");
    picture = words.takeFirst();
    QSettings::setDefaultFormat(QSettings::IniFormat);
    QSettings::setPath(QSettings::IniFormat, QSettings::UserScope, settings.path());
  }
  if (words.size() > 1) return usage("one SCENARIO at a time");

  MainWindow window(options);
  if (parser.isSet(size)) {
    const QStringList sides = parser.value(size).split('x');
    if (sides.size() != 2 || sides[0].toInt() < 400 || sides[1].toInt() < 300) {
      return usage("--size: expected WIDTHxHEIGHT from 400x300 on, saw \"" + parser.value(size) + "\"");
    }
    window.resize(sides[0].toInt(), sides[1].toInt());
  }
  if (view) {
    shoot_when_settled(
        window, *view, picture, other,
        [&window, editor = parser.value(screenshot) == "scenario",
         timeline = *view == View::kTimeline, name = parser.value(colour),
         wanted = parser.value(select)] {
          if (editor) window.show_editor();
          if (timeline) {
            if (!wanted.isEmpty() && !window.timeline().find(wanted))
              std::fprintf(stderr, "lindos-gui: --select: no span \"%s\" in the timeline\n", qPrintable(wanted));
            return;
          }
          if (!name.isEmpty() && !window.cluster().colour_by(name.toStdString())) {
            std::fprintf(stderr, "lindos-gui: --colour-by: this run has no \"%s\" per device\n", qPrintable(name));
          }
          if (wanted == "gate")
            window.show_gate();
          else if (!wanted.isEmpty())
            window.cluster().find(wanted);
          if (!window.cluster().find_error().isEmpty())
            std::fprintf(stderr, "lindos-gui: --select: %s\n", qPrintable(window.cluster().find_error()));
        });
  }
  if (other && !view) {
    QObject::connect(&window, &MainWindow::settled, &window, [&window, other] { window.compare_with(*other); },
                     Qt::SingleShotConnection);
  }
  if (!words.isEmpty()) {
    const AfterOpen predict = parser.isSet(search)    ? AfterOpen::kSearch
                              : parser.isSet(explain) ? AfterOpen::kExplain
                              : view == View::kLive   ? AfterOpen::kTwin
                              : parser.value(screenshot) == "launch" ? AfterOpen::kLaunch
                                                      : AfterOpen::kPredict;
    if (words.first().endsWith(".json", Qt::CaseInsensitive)) {
      window.open_timeline(words.first());
    } else {
      window.open_scenario(words.first(), view ? predict : AfterOpen::kShowLatest);
    }
  }
  window.show();
  return QApplication::exec();
}
