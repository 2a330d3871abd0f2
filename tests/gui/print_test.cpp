// SPDX-License-Identifier: Apache-2.0
// A printed report can be read: text of a size for paper, pictures within the page.
#include <gtest/gtest.h>

#include <QFile>
#include <QTemporaryDir>

#include "gui/work/print_html.h"

namespace lindos::gui {
namespace {

class PrintTest : public ::testing::Test {
 protected:
  // Pages of a report of that body.
  qsizetype pages(const QString& body) {
    QFile html(folder_.filePath("a.html"));
    EXPECT_TRUE(html.open(QIODevice::WriteOnly));
    html.write(("<html><head><style>body { font-size: 14px; line-height: 1.45; } pre { font-size: 12px; }</style></head><body>" +
                body + "</body></html>")
                   .toUtf8());
    html.close();
    EXPECT_EQ(print_html(folder_.filePath("a.html"), folder_.filePath("a.pdf")), "");
    QFile pdf(folder_.filePath("a.pdf"));
    EXPECT_TRUE(pdf.open(QIODevice::ReadOnly));
    return pdf.readAll().count("/Type /Page\n");
  }
  QTemporaryDir folder_;
};

// 9 pt with 1.45 lines are 4.6 mm, so that a page of 257 mm holds fifty lines and few more: 200 take at least three pages
// and at most six. Text of 14 printer's pixels (0.3 mm) would take one.
TEST_F(PrintTest, TextHasASizeForPaper) {
  QString lines;
  for (int i = 0; i < 200; ++i) lines += QString("line %1<br>").arg(i);
  EXPECT_GE(pages("<p>" + lines + "</p>"), 3);
  EXPECT_LE(pages("<p>" + lines + "</p>"), 6);
  EXPECT_GE(pages("<pre>" + lines.replace("<br>", "\n") + "</pre>"), 3);
}

// A picture twice as wide as high is 170 mm by 85 mm: three do not fit on a page, two do. Its white foot is cut off.
TEST_F(PrintTest, PicturesAreAsWideAsTheText) {
  const QString picture =
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 960 %1\"><rect width=\"960\" height=\"480\" fill=\"#123456\"/></svg>";
  EXPECT_EQ(pages(picture.arg(480).repeated(2)), 1);
  EXPECT_EQ(pages(picture.arg(480).repeated(3)), 2);
  EXPECT_EQ(pages(picture.arg(960).repeated(2)), 1);
}

}  // namespace
}  // namespace lindos::gui
