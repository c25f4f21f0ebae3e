//! The results of a sweep as an HTML page.

use maud::html;

use super::page::{Page, Section};
use super::run_report::REPORT;
use super::sweep_table::SweepTable;
use super::text::name;

/// The page of the sweep `title`.
pub fn sweep_page(title: &str, table: &SweepTable) -> String {
    let results = html! {
        div.scroll role="region" aria-label="Results" tabindex="0" {
            table {
                thead { tr { @for (column, is_number) in &table.columns {
                    th.number[*is_number] scope="col" { (name(column)) }
                } } }
                tbody { @for row in &table.rows { tr {
                    @for (text, (_, is_number)) in row.iter().zip(&table.columns) {
                        td.number[*is_number] { (name(text)) }
                    }
                } } }
            }
        }
        @for note in &table.notes { p.quiet { (name_of_any_length(note)) } }
    };
    let commands = html! {
        p { "The first run of each cell:" }
        ul { @for command in &table.commands { li { code { (name_of_any_length(command)) } } } }
    };
    let section = |id, heading: &str, body| Section {
        id,
        heading: heading.into(),
        body,
    };
    Page {
        kind: REPORT,
        title: name(title),
        summary: html! { p { "Sweep of " (table.rows.len()) " cells" } },
        sections: vec![
            section("results", "Results", results),
            section("commands", "Commands", commands),
        ],
        script: "",
    }
    .to_html()
}

/// A text without characters that are not shown as themselves.
fn name_of_any_length(text: &str) -> String {
    crate::escape::escaped(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_has_the_table_and_the_commands() {
        let table = SweepTable {
            columns: vec![("loss.name".into(), false), ("R@1 %".into(), true)],
            rows: vec![vec!["<n-pair>".into(), "55.0 ± 7.1".into()]],
            notes: vec!["Measured.".into()],
            commands: vec!["loop-dml train --set 'a=<b>'".into()],
        };
        let html = sweep_page("heads", &table);
        assert!(
            html.contains("<td class=\"number\">55.0 ± 7.1</td>"),
            "{html}"
        );
        assert!(html.contains("&lt;n-pair&gt;") && html.contains("'a=&lt;b&gt;'"));
        assert!(super::super::is_page(REPORT, &html));
    }
}
