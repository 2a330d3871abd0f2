// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/work/print_html.h"

#include <QFile>
#include <QImage>
#include <QPainter>
#include <QPdfWriter>
#include <QRegularExpression>
#include <QSaveFile>
#include <QSvgRenderer>
#include <QTextDocument>

namespace lindos::gui {

namespace {

constexpr double kSharpness = 3.0;    // pixels of a picture per unit of its size: about 300 a inch
constexpr double kPictureWidth = 640; // of the text's width (A4 less 2 cm at each side), in the document's units
constexpr double kPointsPerPixel = 0.66;  // of the page's style sheet: 14 px of a screen are read as 9 pt of paper

// Rows up to the last that is not all white.
int inked(const QImage& image) {
  for (int y = image.height() - 1; y > 0; --y) {
    for (int x = 0; x < image.width(); ++x) {
      if (image.pixel(x, y) != qRgb(255, 255, 255)) return y + 1;
    }
  }
  return 1;
}

// QTextDocument draws no <svg>; its pictures are rendered and shown as images.
class Page : public QTextDocument {
 public:
  explicit Page(QString html) {
    static const QRegularExpression kSvg("<svg.*?</svg>", QRegularExpression::DotMatchesEverythingOption);
    for (auto match = kSvg.match(html); match.hasMatch(); match = kSvg.match(html)) {
      QSvgRenderer renderer(match.captured().toUtf8());
      const QSizeF size =
          QSizeF(renderer.viewBoxF().size()).scaled(kPictureWidth, 10 * kPictureWidth, Qt::KeepAspectRatio);
      QImage image((size * kSharpness).toSize(), QImage::Format_RGB32);
      image.fill(Qt::white);
      QPainter painter(&image);
      renderer.render(&painter);
      painter.end();
      image = image.copy(0, 0, image.width(), inked(image));
      const QString name = QString("picture:%1").arg(pictures_.size());
      html.replace(match.capturedStart(), match.capturedLength(),
                   QString("<p><img src=\"%1\" width=\"%2\" height=\"%3\"></p>")
                       .arg(name)
                       .arg(size.width())
                       .arg(image.height() / kSharpness));
      pictures_.push_back(image);
    }
    // A font of so many pixels has as many of the printer's, 1,200 an inch; other lengths are scaled.
    const qsizetype style = html.indexOf("</style>");
    static const QRegularExpression kPixels("font-size: (\\d+)px");
    for (auto size = kPixels.match(html); size.hasMatch() && size.capturedStart() < style; size = kPixels.match(html)) {
      html.replace(size.capturedStart(), size.capturedLength(),
                   QString("font-size: %1pt").arg(size.captured(1).toDouble() * kPointsPerPixel, 0, 'f', 1));
    }
    // Of lengths at several sides the document takes none; and the ground of a text would have stripes.
    html.replace("padding: 3px 14px 3px 0", "padding-right: 12px");
    html.replace("margin: 32px auto; ", "");  // would be that of every table
    html.replace("<table>", "<table width=\"100%\">");
    html.replace("pre { background: #f3f4f6; ", "pre { ");
    // Long lines of scenario files must not leave the page.
    html.replace("<pre>", "<pre style=\"white-space: pre-wrap\">");
    setHtml(html);
  }

 protected:
  QVariant loadResource(int type, const QUrl& name) override {
    if (name.scheme() == "picture") return pictures_[name.path().toInt()];
    return QTextDocument::loadResource(type, name);
  }

 private:
  QList<QImage> pictures_;
};

}  // namespace

QString print_html(const QString& html_file, const QString& pdf_file) {
  QFile in(html_file);
  if (!in.open(QIODevice::ReadOnly)) return QObject::tr("%1 cannot be read: %2").arg(html_file, in.errorString());
  QSaveFile out(pdf_file);
  if (!out.open(QIODevice::WriteOnly)) return QObject::tr("%1 cannot be written: %2").arg(pdf_file, out.errorString());
  {
    Page page(QString::fromUtf8(in.readAll()));
    QFont font = page.defaultFont();
    font.setPointSizeF(9.0);
    page.setDefaultFont(font);
    QPdfWriter writer(&out);
    writer.setPageSize(QPageSize(QPageSize::A4));
    writer.setPageMargins(QMarginsF());  // print() leaves 2 cm and numbers the pages
    page.print(&writer);
  }
  if (!out.commit()) return QObject::tr("%1 cannot be written: %2").arg(pdf_file, out.errorString());
  return {};
}

}  // namespace lindos::gui
