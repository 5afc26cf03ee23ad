//! The tables of a page.

use std::collections::BTreeSet;

use crate::{blocks, code_spans, root};

/// A row of a table.
pub(crate) struct Row {
    /// The heading that the table stands under.
    pub(crate) heading: String,
    /// The first cell of the table's first row.
    pub(crate) title: String,
    pub(crate) cells: Vec<String>,
}

impl Row {
    /// The code in a cell.
    pub(crate) fn code(&self, cell: usize) -> impl Iterator<Item = &str> {
        code_spans(&self.cells[cell])
    }
}

/// The text of a page.
pub(crate) fn page(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every row of every table of a page, without those that name the columns.
pub(crate) fn rows(page: &str) -> Vec<Row> {
    let fenced: Vec<_> =
        blocks(page).iter().map(|block| block.line..block.line + block.text.lines().count()).collect();
    let mut rows = Vec::new();
    let (mut heading, mut titles) = (String::new(), None::<Vec<String>>);
    for (index, line) in page.lines().enumerate() {
        if fenced.iter().any(|lines| lines.contains(&(index + 1))) {
            continue;
        }
        if let Some(text) = line.strip_prefix('#') {
            heading = text.trim_start_matches('#').trim().to_owned();
        }
        match (cells(line), &titles) {
            (None, _) => titles = None,
            (Some(cells), None) => titles = Some(cells),
            (Some(cells), Some(titles)) if !cells[0].starts_with("---") => {
                rows.push(Row { heading: heading.clone(), title: titles[0].clone(), cells });
            }
            (Some(_), Some(_)) => {}
        }
    }
    rows
}

fn cells(line: &str) -> Option<Vec<String>> {
    let inside = line.strip_prefix('|')?.strip_suffix('|')?;
    Some(inside.split(" |").map(|cell| cell.trim_matches(['|', ' ']).to_owned()).collect())
}

/// The part of a page under a heading, without its deeper headings.
pub(crate) fn section(page: &str, heading: &str) -> String {
    let lines = page.lines().skip_while(|line| line.trim_start_matches('#').trim() != heading);
    let lines = lines.enumerate().take_while(|(index, line)| *index == 0 || !line.starts_with("## "));
    let text: Vec<&str> = lines.map(|(_, line)| line).collect();
    assert!(!text.is_empty(), "there is no heading `{heading}`");
    text.join("\n")
}

/// Every word in the code of a text: between back-ticks and in fenced blocks.
pub(crate) fn words_of_code(text: &str) -> BTreeSet<String> {
    let fenced: String = blocks(text).into_iter().map(|block| block.text).collect();
    let spans = text.lines().filter(|line| !line.starts_with("```")).flat_map(code_spans);
    let code: String = spans.map(|span| format!("{span}\n")).chain([fenced]).collect();
    code.split(|char: char| !char.is_ascii_alphanumeric() && char != '_').map(str::to_owned).collect()
}

/// Fails if one side has something that the other has not.
#[track_caller]
pub(crate) fn same(what: &str, code: &BTreeSet<String>, pages: &BTreeSet<String>) {
    let [missing, invented] = [(code, pages), (pages, code)]
        .map(|(these, those)| these.difference(those).map(String::as_str).collect::<Vec<_>>().join(", "));
    assert!(
        missing.is_empty() && invented.is_empty(),
        "{what}: in no table: {missing}; not in the code: {invented}"
    );
}

#[test]
fn rows_know_their_heading_and_their_columns() {
    let rows = rows("## A\n| key | x |\n|---|---|\n| `a`, `b` | 1 |\n\n```\n| no | row |\n```\n");
    assert_eq!(rows.len(), 1);
    let Row { heading, title, cells } = &rows[0];
    assert_eq!((heading.as_str(), title.as_str(), cells.len()), ("A", "key", 2));
    assert!(rows[0].code(0).eq(["a", "b"]));
}
