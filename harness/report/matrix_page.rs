//! What several targets came to, as one HTML page.

use super::several::{Document, Several};
use crate::foreign::HTML;
use std::fmt::Write as _;

impl Document {
    /// The page of a report; of several targets it has the matrix.
    pub(crate) fn to_html(&self) -> String {
        match self {
            Self::One(report) => report.to_html(),
            Self::Several(several) => several.to_html(),
        }
    }
}

impl Several {
    fn to_html(&self) -> String {
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'\">\n\
             <title>sockdrill</title>\n<p>{}</p>\n{}",
            HTML.text(&self.counts()),
            self.matrix.html()
        )
    }
}

impl super::matrix::Matrix {
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
