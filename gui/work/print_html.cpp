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
constexpr double kPictureWidth = 640; // of the text's width, in the document's units

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
      const QString name = QString("picture:%1").arg(pictures_.size());
      html.replace(match.capturedStart(), match.capturedLength(),
                   QString("<p><img src=\"%1\" width=\"%2\" height=\"%3\"></p>")
                       .arg(name)
                       .arg(size.width())
                       .arg(size.height()));
      pictures_.push_back(image);
    }
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
    writer.setPageMargins(QMarginsF(15, 15, 15, 15), QPageLayout::Millimeter);
    page.print(&writer);
  }
  if (!out.commit()) return QObject::tr("%1 cannot be written: %2").arg(pdf_file, out.errorString());
  return {};
}

}  // namespace lindos::gui
