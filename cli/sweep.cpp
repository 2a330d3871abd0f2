// SPDX-License-Identifier: Apache-2.0
#include "cli/sweep.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/session.h"
#include "cli/signals.h"
#include "cli/table.h"
#include "scenarios/error.h"
#include "scenarios/text_layout.h"

extern char** environ;

namespace lindos::cli {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kWidth = 110;

// This process among those that share a sweep.
struct Part {
  std::size_t index = 0;
  std::size_t count = 1;
};

std::size_t number_in(const char* variable, std::size_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr || *text == '\0' ? otherwise : static_cast<std::size_t>(std::strtoull(text, nullptr, 10));
}

Part part_of_environment() {
  if (std::getenv("SLURM_ARRAY_TASK_ID") != nullptr) {
    const std::size_t own = number_in("SLURM_ARRAY_TASK_ID", 0) - number_in("SLURM_ARRAY_TASK_MIN", 0);
    return {own, std::max<std::size_t>(1, number_in("SLURM_ARRAY_TASK_COUNT", 1))};
  }
  if (std::getenv("OMPI_COMM_WORLD_RANK") != nullptr)
    return {number_in("OMPI_COMM_WORLD_RANK", 0), std::max<std::size_t>(1, number_in("OMPI_COMM_WORLD_SIZE", 1))};
  return {number_in("PMI_RANK", 0), std::max<std::size_t>(1, number_in("PMI_SIZE", 1))};
}

// A child that answers one point. Its answer goes to the file only when it ended by itself with an answer or a refusal.
class Child {
 public:
  Child(const SweepQuestion& question, const std::string& scenario, const SweepPoint& point)
      : file_(question.folder / point.file), out_(file_.string() + fmt::format(".{}.out", ::getpid())),
        err_(file_.string() + fmt::format(".{}.err", ::getpid())) {
    const std::string seed = std::to_string(point.seed);
    std::vector<std::string> words = {"lindos", "plan", scenario};
    words.insert(words.end(), question.arguments.begin(), question.arguments.end());
    for (const char* word : {"--format", "json", "--progress", "none", "--seed"}) words.emplace_back(word);
    words.push_back(seed);
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC;
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out_.c_str(), kFlags, 0644);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err_.c_str(), kFlags, 0644);
    const int failed = posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed != 0)
      throw Error(ErrorKind::kEnvironment, "", std::string("a process cannot be started: ") + std::strerror(failed));
  }
  [[nodiscard]] pid_t pid() const { return pid_; }
  void stop() const { ::kill(pid_, SIGTERM); }

  // `status` as from waitpid. Throws Error{kEnvironment} when the child neither answered nor refused.
  void finish(int status) const {
    const std::string out = read_file(out_);
    const std::string err = read_file(err_);
    std::error_code ignored;
    std::filesystem::remove(out_, ignored);
    std::filesystem::remove(err_, ignored);
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (code == 0) {
      // But for the time of day, a point's answer is a function of what was asked.
      Json answer = Json::parse(out);
      for (const char* list : {"plans", "baselines"}) {
        for (Json& plan : answer[list]) plan.erase("started_utc");
      }
      write_file(file_, answer.dump(2) + "\n");
      return;
    }
    const std::string why = err.substr(0, err.find('\n'));
    if (code == static_cast<int>(ErrorKind::kInput) || code == static_cast<int>(ErrorKind::kInfeasible)) {
      write_file(file_, Json{{"refused", why}, {"exit", code}}.dump(2) + "\n");
      return;
    }
    throw Error(code == static_cast<int>(ErrorKind::kUsage) ? ErrorKind::kUsage : ErrorKind::kEnvironment, "",
                why.empty() ? fmt::format("a point of the sweep died (status {})", status) : why);
  }

 private:
  std::filesystem::path file_;
  std::filesystem::path out_;
  std::filesystem::path err_;
  pid_t pid_ = -1;
};

Json answer_of(const SweepQuestion& question, const SweepPoint& point) {
  const std::filesystem::path file = question.folder / point.file;
  std::error_code error;
  if (!std::filesystem::exists(file, error)) return nullptr;
  return Json::parse(read_file(file), nullptr, false);
}

// Of the best plan, as far as an answer has it.
std::string figure(const Json& plan, const char* key, double unit, const char* format) {
  if (!plan.contains(key) || !plan[key].is_number()) return "–";
  return fmt::format(fmt::runtime(format), plan[key].get<double>() / unit);
}

std::string metric(const Json& plan, const char* name, double unit, const char* format) {
  if (!plan.contains("metrics") || !plan["metrics"].contains(name)) return "–";
  return fmt::format(fmt::runtime(format), plan["metrics"][name]["p50"].get<double>() / unit);
}

}  // namespace

std::vector<SweepPoint> points_of(const SweepQuestion& question) {
  std::vector<SweepPoint> points(1);
  for (const std::vector<Setting>& axis : question.axes) {
    std::vector<SweepPoint> longer;
    for (const SweepPoint& point : points) {
      for (const Setting& setting : axis) {
        longer.push_back(point);
        longer.back().settings.push_back(setting);
      }
    }
    points = std::move(longer);
  }
  std::vector<SweepPoint> out;
  for (const SweepPoint& point : points) {
    for (const std::uint64_t seed : question.seeds) {
      out.push_back(point);
      out.back().seed = seed;
    }
  }
  return out;
}

std::size_t run_sweep(const SweepQuestion& question, const Scenario& scenario, std::vector<SweepPoint>& points,
                      Progress& progress) {
  std::error_code error;
  std::filesystem::create_directories(question.folder, error);
  if (error)
    throw Error(ErrorKind::kEnvironment, question.folder.string(), "the folder cannot be made: " + error.message());
  const std::string canonical = to_toml(scenario);
  std::string asked;
  for (const std::string& argument : question.arguments) asked += argument + "\n";
  std::vector<std::string> scenarios;
  for (SweepPoint& point : points) {
    const std::string text = with_settings(canonical, point.settings);
    const std::string name = digest_of_text(text + asked + std::to_string(point.seed));
    point.file = "point-" + name + ".json";
    const std::filesystem::path file = question.folder / ("scenario-" + digest_of_text(text) + ".toml");
    if (!std::filesystem::exists(file, error)) write_file(file, text);
    scenarios.push_back(file.string());
  }
  const Part part = part_of_environment();
  std::vector<std::size_t> todo;
  std::size_t answered = 0;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (std::filesystem::exists(question.folder / points[i].file, error)) {
      ++answered;
    } else if (i % part.count == part.index) {
      todo.push_back(i);
    }
  }
  const std::size_t at_once = question.processes > 0 ? static_cast<std::size_t>(question.processes)
                                                     : std::max(1U, std::thread::hardware_concurrency());
  std::map<pid_t, Child> running;
  std::size_t next = 0;
  const auto stop_all = [&] {
    for (const auto& [pid, child] : running) child.stop();
    for (const auto& [pid, child] : running) ::waitpid(pid, nullptr, 0);
  };
  try {
    while (next < todo.size() || !running.empty()) {
      while (next < todo.size() && running.size() < at_once) {
        const std::size_t i = todo[next++];
        Child child(question, scenarios[i], points[i]);
        running.emplace(child.pid(), std::move(child));
      }
      int status = 0;
      const pid_t ended = ::waitpid(-1, &status, WNOHANG);
      if (cancel_requested()) throw Error(ErrorKind::kCancelled, "", "cancelled");
      if (ended <= 0) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        continue;
      }
      const auto found = running.find(ended);
      if (found == running.end()) continue;
      const Child child = found->second;
      running.erase(found);
      child.finish(status);
      ++answered;
      progress.update("what-if", static_cast<double>(answered) / static_cast<double>(points.size()));
    }
  } catch (...) {
    stop_all();
    throw;
  }
  return answered;
}

std::string render_sweep(const SweepQuestion& question, const std::vector<SweepPoint>& points) {
  std::vector<std::string> header;
  for (const std::vector<Setting>& axis : question.axes) header.push_back(axis.front().key);
  header.emplace_back("seed");
  header.insert(header.end(), {"objective", "over the given plan", "step ms", "MFU running %", "MFU fleet %",
                               "requests/s", "MW"});
  Table table(header);
  std::string refused;
  for (const SweepPoint& point : points) {
    std::vector<std::string> row;
    for (const Setting& setting : point.settings) row.push_back(setting.value);
    row.push_back(std::to_string(point.seed));
    const Json answer = answer_of(question, point);
    if (answer.is_null()) {
      row.emplace_back("not there yet");
    } else if (answer.contains("refused")) {
      row.emplace_back("refused");
      std::string which;
      for (const Setting& setting : point.settings) which += setting.key + "=" + setting.value + " ";
      refused += "\n  " + wrapped(which + answer["refused"].get<std::string>(), kWidth, 4);
    } else {
      const Json& best = answer["plans"][0];
      row.push_back(figure(best, "objective", 1.0, "{:.5g}"));
      const Json& gains = best["gains"];
      row.push_back(gains.empty() ? "–" : fmt::format("{:+.1f} %", gains[0]["gain"].get<double>() * 100.0));
      row.push_back(metric(best, "step_time_s", 1e-3, "{:.0f}"));
      row.push_back(metric(best, "steady_mfu", 1e-2, "{:.1f}"));
      row.push_back(metric(best, "mfu", 1e-2, "{:.1f}"));
      row.push_back(figure(best, "requests_per_s", 1.0, "{:.0f}"));
      row.push_back(figure(best, "power_w", 1e6, "{:.1f}"));
    }
    row.resize(header.size());
    table.add(std::move(row));
  }
  return table.text() + refused;
}

std::string sweep_json(const SweepQuestion& question, const std::vector<SweepPoint>& points) {
  Json out = Json::array();
  for (const SweepPoint& point : points) {
    Json settings = Json::object();
    for (const Setting& setting : point.settings) settings[setting.key] = setting.value;
    Json answer = answer_of(question, point);
    Json refused = nullptr;
    if (answer.is_object() && answer.contains("refused")) {
      refused = answer["refused"];
      answer = nullptr;
    }
    out.push_back({{"settings", std::move(settings)},
                   {"seed", point.seed},
                   {"answer", std::move(answer)},
                   {"refused", std::move(refused)}});
  }
  return out.dump(2);
}

}  // namespace lindos::cli
