//! The skeleton of a page: head, style sheet, skip link, contents, sections.
//!
//! A page makes no request. Its content security policy forbids any, so that also a mistake in a section
//! cannot load something. Text is escaped by the templates.

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// The style sheet: light and dark, print, narrow screens.
const STYLE: &str = include_str!("page.css");

/// The start of the name of the program that wrote a page, in its `<meta name="generator">`.
const GENERATOR: &str = "loop-dml";

/// Images are data URIs, and style sheet and script are in the page. Nothing else is loaded.
const POLICY: &str =
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/// A page of sections.
#[derive(Debug, Clone)]
pub struct Page {
    /// What the page is, one word that files of this kind are recognised by ([`is_page`]): `report`, `search`.
    pub kind: &'static str,
    /// The title, in the browser's tab and as the heading.
    pub title: String,
    /// What is below the heading: one or two lines.
    pub summary: Markup,
    /// The sections, in their order.
    pub sections: Vec<Section>,
    /// JavaScript at the end of the page, or an empty text. The page must make sense without it.
    pub script: &'static str,
}

/// A section of a [`Page`].
#[derive(Debug, Clone)]
pub struct Section {
    /// The id of its element, unique on the page: the target of the link in the contents.
    pub id: &'static str,
    /// Its heading, `<h2>`.
    pub heading: String,
    /// What is below the heading. Headings in it begin with `<h3>`.
    pub body: Markup,
}

impl Page {
    /// Returns the page as HTML.
    pub fn to_html(&self) -> String {
        let generator = generator(self.kind);
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="generator" content=(generator);
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    meta name="color-scheme" content="light dark";
                    meta name="referrer" content="no-referrer";
                    // Without an icon, browsers request one.
                    link rel="icon" href="data:,";
                    title { (self.title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    a.skip href="#content" { "Skip to the content" }
                    header.page-head {
                        h1 { (self.title) }
                        div.summary { (self.summary) }
                        @if self.sections.len() > 1 {
                            nav aria-label="Contents" {
                                ul { @for section in &self.sections {
                                    li { a href={ "#" (section.id) } { (section.heading) } }
                                } }
                            }
                        }
                    }
                    main #content tabindex="-1" {
                        @for section in &self.sections {
                            section id=(section.id) aria-labelledby={ (section.id) "-heading" } {
                                h2 id={ (section.id) "-heading" } { (section.heading) }
                                (section.body)
                            }
                        }
                    }
                    footer {
                        "Written by loop-dml " (env!("CARGO_PKG_VERSION"))
                        ". This file contains everything it shows."
                    }
                    @if !self.script.is_empty() {
                        script { (PreEscaped(self.script)) }
                    }
                }
            }
        }
        .into_string()
    }
}

/// Whether `html` is a page of this kind, of any version of this program.
pub fn is_page(kind: &str, html: &str) -> bool {
    let meta = format!(r#"<meta name="generator" content="{GENERATOR} {kind} "#);
    html.find("</head>")
        .is_some_and(|end| html[..end].contains(&meta))
}

fn generator(kind: &str) -> String {
    format!("{GENERATOR} {kind} {}", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(kind: &'static str, title: &str) -> String {
        let section = |id| Section {
            id,
            heading: format!("{id} <of> {title}"),
            body: html! { p { (title) } },
        };
        let page = Page {
            kind,
            title: title.to_string(),
            summary: html! { p { (title) } },
            sections: vec![section("first"), section("second")],
            script: "",
        };
        page.to_html()
    }

    #[test]
    fn text_is_escaped_and_contents_link_to_sections() {
        let html = page("report", r#"<script>alert("x")</script> & 'y'"#);
        assert!(!html.contains("<script"), "{html}");
        assert!(html.contains("&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; 'y'"));
        for id in ["first", "second"] {
            assert!(html.contains(&format!(r##"href="#{id}""##)));
            assert!(html.contains(&format!(r#"<section id="{id}""#)));
        }
    }

    #[test]
    fn page_is_recognised_by_its_kind_and_nothing_else_is() {
        let html = page("report", "A run");
        assert!(is_page("report", &html));
        assert!(!is_page("search", &html));
        assert!(!is_page(
            "report",
            "<html><head></head>loop-dml report 1</html>"
        ));
        // A quotation in the text is not the head.
        let quoted = format!("<html><head></head><body>{html}</body>");
        assert!(!is_page("report", &quoted));
        assert!(!is_page("report", ""));
    }
}
