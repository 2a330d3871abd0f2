// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/docks/scenario_editor.h"

#include <QHBoxLayout>
#include <algorithm>
#include <QPainter>
#include <QRegularExpression>
#include <QStyle>
#include <QSyntaxHighlighter>
#include <QTextBlock>
#include <QTextEdit>
#include <QVBoxLayout>

#include "gui/models/plan_text.h"

namespace lindos::gui {

namespace {

constexpr int kCheckAfterMs = 300;

class TomlHighlighter : public QSyntaxHighlighter {
 public:
  using QSyntaxHighlighter::QSyntaxHighlighter;
  void set_theme(const Theme& theme) {
    comment_.setForeground(theme.muted);
    table_.setForeground(theme.useful);
    table_.setFontWeight(QFont::Bold);
    key_.setForeground(theme.text);
    value_.setForeground(theme.loss[2]);
    rehighlight();
  }

 protected:
  void highlightBlock(const QString& text) override {
    // A "#" inside a string is no comment.
    bool quoted = false;
    qsizetype comment = text.size();
    for (qsizetype i = 0; i < text.size(); ++i) {
      if (text[i] == '"' && (i == 0 || text[i - 1] != '\\')) quoted = !quoted;
      if (text[i] == '#' && !quoted) {
        comment = i;
        break;
      }
    }
    const auto mark = [this](qsizetype from, qsizetype to, const QTextCharFormat& format) {
      setFormat(static_cast<int>(from), static_cast<int>(to - from), format);
    };
    const QString code = text.left(comment);
    if (code.trimmed().startsWith('[')) {
      mark(0, comment, table_);
    } else if (const qsizetype equals = code.indexOf('='); equals >= 0) {
      mark(0, equals, key_);
      mark(equals + 1, comment, value_);
    }
    mark(comment, text.size(), comment_);
  }

 private:
  QTextCharFormat comment_, table_, key_, value_;
};

}  // namespace

std::optional<TextPlace> place_in(const QString& where) {
  static const QRegularExpression kPlace(":(\\d+)(?::(\\d+))?$");
  const auto match = kPlace.match(where);
  if (!match.hasMatch()) return std::nullopt;
  return TextPlace{match.captured(1).toInt(), match.captured(2).toInt()};
}

// The text with a margin for line numbers and the mark of the error.
class TomlEdit : public QPlainTextEdit {
 public:
  explicit TomlEdit(QWidget* parent)
      : QPlainTextEdit(parent), margin_(this), highlighter_(new TomlHighlighter(document())) {
    QFont fixed("monospace");
    fixed.setStyleHint(QFont::Monospace);
    setFont(fixed);
    setLineWrapMode(NoWrap);
    setTabChangesFocus(true);
    connect(this, &QPlainTextEdit::blockCountChanged, this, [this] { place_margin(); });
    connect(this, &QPlainTextEdit::updateRequest, this, [this](const QRect& rect, int dy) {
      if (dy != 0) {
        margin_.scroll(0, dy);
      } else {
        margin_.update(0, rect.y(), margin_.width(), rect.height());
      }
    });
    connect(this, &QPlainTextEdit::cursorPositionChanged, this, [this] { mark(); });
    place_margin();
  }

  void set_error(const std::optional<TextPlace>& place) {
    error_ = place;
    mark();
    margin_.update();
  }

  void set_theme(const Theme& theme) {
    theme_ = &theme;
    highlighter_->set_theme(theme);
    mark();
    margin_.update();
  }

 protected:
  void resizeEvent(QResizeEvent* event) override {
    QPlainTextEdit::resizeEvent(event);
    place_margin();
  }

 private:
  class Margin : public QWidget {
   public:
    explicit Margin(TomlEdit* edit) : QWidget(edit), edit_(edit) {}

   protected:
    void paintEvent(QPaintEvent* event) override { edit_->paint_margin(event); }

   private:
    TomlEdit* edit_;
  };

  int margin_width() const {
    return fontMetrics().horizontalAdvance('9') *
               static_cast<int>(std::max<qsizetype>(3, QString::number(blockCount()).size())) +
           22;
  }

  void place_margin() {
    setViewportMargins(margin_width(), 0, 0, 0);
    const QRect inside = contentsRect();
    margin_.setGeometry(inside.left(), inside.top(), margin_width(), inside.height());
  }

  void paint_margin(QPaintEvent* event) {
    QPainter painter(&margin_);
    painter.fillRect(event->rect(), theme_->window);
    QTextBlock block = firstVisibleBlock();
    double top = blockBoundingGeometry(block).translated(contentOffset()).top();
    while (block.isValid() && top <= event->rect().bottom()) {
      const double height = blockBoundingRect(block).height();
      const bool wrong = error_ && error_->line == block.blockNumber() + 1;
      if (wrong) painter.fillRect(QRectF(0, top, margin_.width(), height), theme_->error_ground);
      painter.setPen(wrong ? theme_->error_text : theme_->muted);
      painter.drawText(QRectF(0, top, margin_.width() - 8, height), Qt::AlignRight | Qt::AlignVCenter,
                       QString::number(block.blockNumber() + 1));
      if (wrong) painter.drawText(QRectF(4, top, 14, height), Qt::AlignVCenter, "✕");
      top += height;
      block = block.next();
    }
  }

  void mark() {
    QList<QTextEdit::ExtraSelection> marks;
    QTextEdit::ExtraSelection line;
    line.format.setBackground(theme_->alternate);
    line.format.setProperty(QTextFormat::FullWidthSelection, true);
    line.cursor = textCursor();
    line.cursor.clearSelection();
    marks << line;
    if (error_) {
      QTextEdit::ExtraSelection wrong;
      wrong.cursor = QTextCursor(document()->findBlockByNumber(error_->line - 1));
      wrong.format.setBackground(theme_->error_ground);
      wrong.format.setProperty(QTextFormat::FullWidthSelection, true);
      marks << wrong;
      QTextEdit::ExtraSelection word;
      word.cursor = wrong.cursor;
      if (error_->column > 1) word.cursor.movePosition(QTextCursor::Right, QTextCursor::MoveAnchor, error_->column - 1);
      word.cursor.movePosition(QTextCursor::EndOfBlock, QTextCursor::KeepAnchor);
      word.format.setUnderlineStyle(QTextCharFormat::WaveUnderline);
      word.format.setUnderlineColor(theme_->error_text);
      marks << word;
    }
    setExtraSelections(marks);
  }

  Margin margin_;
  TomlHighlighter* highlighter_;  // goes with the document
  std::optional<TextPlace> error_;
  const Theme* theme_ = &light_theme();
};

ScenarioEditor::ScenarioEditor(QWidget* parent)
    : QWidget(parent),
      edit_(new TomlEdit(this)),
      name_(new QLabel),
      save_(new QPushButton(tr("Save"))),
      revert_(new QPushButton(tr("Revert"))),
      plan_(new PlanForm),
      state_(new QLabel) {
  edit_->setAccessibleName(tr("Scenario text"));
  edit_->setPlaceholderText(tr("Open a scenario (Ctrl+O)."));
  state_->setObjectName("state");
  state_->setWordWrap(true);
  state_->setTextFormat(Qt::RichText);
  state_->setTextInteractionFlags(Qt::TextBrowserInteraction);
  state_->hide();
  save_->setToolTip(tr("Write the file (Ctrl+S)"));
  revert_->setToolTip(tr("Back to what the file holds; undo brings the edits back"));
  auto* row = new QHBoxLayout;
  row->addWidget(name_, 1);
  row->addWidget(revert_);
  row->addWidget(save_);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(10, 8, 10, 8);
  column->addLayout(row);
  column->addWidget(edit_, 1);
  column->addWidget(state_);
  column->addWidget(plan_);
  plan_->hide();
  setMinimumWidth(320);
  set_modified(false);

  timer_.setSingleShot(true);
  timer_.setInterval(kCheckAfterMs);
  connect(edit_, &QPlainTextEdit::textChanged, this, [this] {
    // Colours change the document as well, and at its end after this widget is gone.
    if (loading_ || text() == last_) return;
    last_ = text();
    emit edited(last_);
    timer_.start();
  });
  connect(&timer_, &QTimer::timeout, this, [this] { emit check_requested(text()); });
  connect(plan_, &PlanForm::routing_changed, this,
          [this](const Routing& routing) { replace(with_routing(text(), routing)); });
  connect(plan_, &PlanForm::prefix_reuse_changed, this, [this](bool on) { replace(with_prefix_reuse(text(), on)); });
  connect(plan_, &PlanForm::kv_offload_changed, this,
          [this](const QString& size) { replace(with_kv_offload(text(), size)); });
  connect(plan_, &PlanForm::unfinished_changed, this,
          [this](const UnfinishedBounds& bounds) { replace(with_unfinished_bounds(text(), bounds)); });
  connect(plan_, &PlanForm::tenant_changed, this,
          [this](const TenantLimits& limits) { replace(with_tenant_limits(text(), limits)); });
  connect(save_, &QPushButton::clicked, this, &ScenarioEditor::save_requested);
  connect(revert_, &QPushButton::clicked, this, &ScenarioEditor::revert_requested);
  connect(state_, &QLabel::linkActivated, this, [this] {
    if (error_) go_to(*error_);
  });
}

ScenarioEditor::~ScenarioEditor() { edit_->disconnect(this); }

QPlainTextEdit& ScenarioEditor::edit() { return *edit_; }

void ScenarioEditor::load(const QString& text, const QString& name) {
  loading_ = true;
  edit_->setPlainText(text);
  last_ = edit_->toPlainText();
  loading_ = false;
  file_name_ = name;
  set_modified(false);
}

void ScenarioEditor::replace(const QString& text) {
  const QString old = edit_->toPlainText();
  const qsizetype shorter = std::min(old.size(), text.size());
  qsizetype begin = 0;
  while (begin < shorter && old[begin] == text[begin]) ++begin;
  qsizetype end = 0;
  while (end < shorter - begin && old[old.size() - 1 - end] == text[text.size() - 1 - end]) ++end;
  QTextCursor part(edit_->document());
  part.beginEditBlock();
  part.setPosition(static_cast<int>(begin));
  part.setPosition(static_cast<int>(old.size() - end), QTextCursor::KeepAnchor);
  part.insertText(text.mid(begin, text.size() - end - begin));
  part.endEditBlock();
}

QString ScenarioEditor::text() const { return edit_->toPlainText(); }

void ScenarioEditor::say(const QString& text, bool wrong) {
  said_ = text;
  const QString html = text.toHtmlEscaped();
  const qsizetype end = html.indexOf(':');
  state_->setText(error_ && end > 0 ? QString("<a href='go'>%1</a>%2").arg(html.left(end), html.mid(end)) : html);
  state_->setAccessibleName(text);
  state_->setProperty("wrong", wrong);
  state_->style()->polish(state_);
  state_->show();
}

void ScenarioEditor::show_valid(const QString& summary) {
  error_.reset();
  edit_->set_error(std::nullopt);
  say(summary, false);
}

void ScenarioEditor::show_plan(const Plan& plan, const QStringList& tenants, bool training) {
  plan_->setVisible(!training);
  plan_->show_plan(plan, tenants, why_plan_is_fixed(text()));
}

void ScenarioEditor::show_error(const std::optional<TextPlace>& place, const QString& message) {
  error_ = place;
  edit_->set_error(place);
  say(place ? tr("Line %1: %2").arg(place->line).arg(message) : message, true);
}

void ScenarioEditor::set_modified(bool modified) {
  name_->setText(modified ? file_name_ + tr("  · edited") : file_name_);
  save_->setEnabled(modified);
  revert_->setEnabled(modified);
}

void ScenarioEditor::set_theme(const Theme& theme) {
  edit_->set_theme(theme);
  state_->setStyleSheet(
      QString("QLabel#state { padding: 6px 8px; color: %1; background: %2; }"
              "QLabel#state[wrong=\"true\"] { color: %3; background: %4; }")
          .arg(theme.info_text.name(), theme.info_ground.name(), theme.error_text.name(), theme.error_ground.name()));
}

void ScenarioEditor::go_to(const TextPlace& place) {
  QTextCursor cursor(edit_->document()->findBlockByNumber(place.line - 1));
  if (place.column > 1) cursor.movePosition(QTextCursor::Right, QTextCursor::MoveAnchor, place.column - 1);
  edit_->setTextCursor(cursor);
  edit_->centerCursor();
  edit_->setFocus();
}

}  // namespace lindos::gui
