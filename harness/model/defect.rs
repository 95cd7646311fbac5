//! A kind of defect that servers share, whatever they speak: what goes wrong, how it is mended, and where it has happened.

/// A kind of defect; the rows are in `checks/defects.rs`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Defect {
    /// What it is called, permanent.
    pub name: &'static str,
    /// What goes wrong, and what is right.
    pub about: &'static str,
    /// The programs of `fixtures/mended` that show it mended.
    pub program: &'static str,
    /// Servers that have had it.
    pub cases: &'static [Case],
}

/// A public report of a defect.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Case {
    /// The thread.
    pub report: &'static str,
    /// What broke.
    pub what: &'static str,
}

impl Case {
    /// The project and the number of its thread, as in `nodejs/node#52649`.
    pub(crate) fn project(report: &str) -> Option<String> {
        let path = report.strip_prefix("https://github.com/")?;
        let mut parts = path.split('/');
        let (owner, name) = (parts.next()?, parts.next()?);
        let number = parts.nth(1)?;
        Some(format!("{owner}/{name}#{number}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thread_is_named_by_its_project_and_number() {
        let of = |report| Case::project(report);
        let node = of("https://github.com/nodejs/node/issues/52649");
        assert_eq!(node.as_deref(), Some("nodejs/node#52649"));
        let h2o = of("https://github.com/h2o/h2o/pull/2358");
        assert_eq!(h2o.as_deref(), Some("h2o/h2o#2358"));
        assert_eq!(of("https://example.test/1"), None);
    }
}
