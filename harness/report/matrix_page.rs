//! What several targets came to, as a table of HTML for pages that are not ours.

use super::matrix::Matrix;
use crate::foreign::HTML;
use std::fmt::Write as _;

impl Matrix {
    /// The rows as a table of HTML, in a single block without an empty line.
    pub(super) fn html(&self) -> String {
        let mut table = "<table>\n<tr><th></th>".to_owned();
        for target in &self.targets {
            let _ = write!(table, "<th>{}</th>", HTML.text(&target.replace('\n', " ")));
        }
        table.push_str("</tr>\n");
        for row in &self.rows {
            let id = row.id.replace('\n', " ");
            let _ = write!(table, "<tr><td><code>{}</code></td>", HTML.text(&id));
            for verdict in &row.verdicts {
                let word = verdict.map_or("", |verdict| verdict.word());
                let _ = write!(table, "<td>{word}</td>");
            }
            table.push_str("</tr>\n");
        }
        table + "</table>\n"
    }
}
