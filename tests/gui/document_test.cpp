// SPDX-License-Identifier: Apache-2.0
// Edits are never lost silently: a copy after every pause, back after a crash, gone after a save.
#include "gui/state/document.h"

#include <gtest/gtest.h>

#include <QFile>
#include <QFileInfo>
#include <QSettings>
#include <QSignalSpy>
#include <QTest>

#include "gui/docks/scenario_editor.h"
#include "tests/data/sample_run.h"

namespace lindos::gui {
namespace {

constexpr int kPatience = 20000;

QString content(const QString& path) {
  QFile file(path);
  return file.open(QIODevice::ReadOnly) ? QString::fromUtf8(file.readAll()) : QString();
}

class DocumentTest : public ::testing::Test {
 protected:
  void SetUp() override {
    QSettings().clear();
    QFile file(path_);
    ASSERT_TRUE(file.open(QIODevice::WriteOnly));
    file.write("name = \"a\"\n");
  }
  data::ScratchFolder folder_;
  const QString path_ = QString::fromStdString((folder_ / "s.toml").string());
  const QString copy_ = QString::fromStdString((folder_ / ".s.toml.edited").string());
};

TEST_F(DocumentTest, EditsAreKeptAfterAPauseAndTheFileStays) {
  Document document;
  document.set_delay(std::chrono::milliseconds(5));
  ASSERT_EQ(document.open(path_), "");
  EXPECT_FALSE(document.modified());
  QSignalSpy changed(&document, &Document::modified_changed);
  document.set_text("name = \"b\"\n");
  EXPECT_TRUE(document.modified());
  EXPECT_EQ(changed.count(), 1);
  QTRY_COMPARE_WITH_TIMEOUT(content(copy_), QString("name = \"b\"\n"), kPatience);
  EXPECT_EQ(content(path_), "name = \"a\"\n");
  EXPECT_EQ(document.path_for_verbs(), copy_);
}

TEST_F(DocumentTest, EditsComeBackAfterACrash) {
  {
    Document document;
    ASSERT_EQ(document.open(path_), "");
    document.set_text("name = \"b\"\n");
    ASSERT_EQ(document.path_for_verbs(), copy_);  // as the timer does
  }  // gone without a save
  ASSERT_EQ(Document::all_left().size(), 1u);
  EXPECT_EQ(Document::all_left()[0].path, path_);
  Document again;
  ASSERT_EQ(again.open(path_), "");
  EXPECT_EQ(again.text(), "name = \"a\"\n");
  ASSERT_TRUE(again.left());
  ASSERT_EQ(again.take_left(), "");
  EXPECT_EQ(again.text(), "name = \"b\"\n");
  EXPECT_TRUE(again.modified());
}

TEST_F(DocumentTest, SavingReplacesTheFileAndRemovesTheCopy) {
  Document document;
  ASSERT_EQ(document.open(path_), "");
  document.set_text("name = \"b\"\n");
  ASSERT_EQ(document.path_for_verbs(), copy_);
  ASSERT_EQ(document.save(), "");
  EXPECT_FALSE(document.modified());
  EXPECT_EQ(content(path_), "name = \"b\"\n");
  EXPECT_FALSE(QFileInfo::exists(copy_));
  EXPECT_TRUE(Document::all_left().empty());
  EXPECT_EQ(document.path_for_verbs(), path_);
}

TEST_F(DocumentTest, UndoingEverythingLeavesNoCopy) {
  Document document;
  document.set_delay(std::chrono::milliseconds(5));
  ASSERT_EQ(document.open(path_), "");
  document.set_text("x");
  ASSERT_EQ(document.path_for_verbs(), copy_);
  document.set_text("name = \"a\"\n");
  EXPECT_FALSE(document.modified());
  QTRY_VERIFY_WITH_TIMEOUT(!QFileInfo::exists(copy_), kPatience);
}

TEST_F(DocumentTest, OpeningAnotherKeepsTheEditsOfTheFirst) {
  Document document;
  ASSERT_EQ(document.open(path_), "");
  document.set_text("name = \"b\"\n");
  const QString other = QString::fromStdString((folder_ / "t.toml").string());
  QFile(other).open(QIODevice::WriteOnly);
  ASSERT_EQ(document.open(other), "");
  EXPECT_EQ(content(copy_), "name = \"b\"\n");
}

TEST_F(DocumentTest, WhatCannotBeReadOrWrittenIsTold) {
  Document document;
  EXPECT_TRUE(document.open("/nowhere/s.toml").contains("cannot be read"));
  EXPECT_FALSE(document.is_open());
  ASSERT_EQ(document.open(path_), "");
  document.set_text("x");
  EXPECT_TRUE(document.save_as("/nowhere/s.toml").contains("cannot be written"));
  EXPECT_TRUE(document.modified());
  EXPECT_EQ(document.text(), "x");
}

TEST(ScenarioEditor, ShowsTheErrorAtItsLineAndUndoes) {
  ScenarioEditor editor;
  editor.load("a = 1\nb = 2\nc = 3\n", "s.toml");
  EXPECT_FALSE(editor.edit().document()->isUndoAvailable());
  editor.show_error(place_in("/x/s.toml:2:5"), "expected a time");
  EXPECT_EQ(editor.state_text(), "Line 2: expected a time");
  EXPECT_GE(editor.edit().extraSelections().size(), 3);
  editor.go_to({2, 5});
  EXPECT_EQ(editor.edit().textCursor().blockNumber(), 1);
  EXPECT_EQ(editor.edit().textCursor().positionInBlock(), 4);
  QSignalSpy edited(&editor, &ScenarioEditor::edited);
  QTest::keyClicks(&editor.edit(), "9");
  EXPECT_EQ(editor.text(), "a = 1\nb = 92\nc = 3\n");
  EXPECT_EQ(edited.count(), 1);
  editor.edit().undo();
  EXPECT_EQ(editor.text(), "a = 1\nb = 2\nc = 3\n");
  editor.replace("z");
  editor.edit().undo();
  EXPECT_EQ(editor.text(), "a = 1\nb = 2\nc = 3\n");
  editor.show_valid("fine");
  EXPECT_EQ(editor.state_text(), "fine");
  EXPECT_FALSE(place_in("no place"));
}

}  // namespace
}  // namespace lindos::gui
