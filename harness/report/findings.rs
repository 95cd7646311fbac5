//! Which results are of one defect.

/// What a result tells of a defect, if anything.
pub(super) struct Told {
    pub(super) id: String,
    /// It is a failure for which there is a cause.
    pub(super) fails: bool,
    /// The check that shows the same more simply, where one does.
    pub(super) under: Option<String>,
}

/// The defects among results, in their order: the places of the one that shows it most simply, and of those that it also fails.
pub(super) fn grouped(results: &[Told]) -> Vec<Vec<usize>> {
    let is_head = |told: &Told, head: &str| told.id == head && told.fails && told.under.is_none();
    let has_head = |told: &Told| {
        let head = told.under.as_deref();
        head.is_some_and(|head| results.iter().any(|other| is_head(other, head)))
    };
    let fails = results.iter().enumerate().filter(|(_, told)| told.fails);
    let (others, heads): (Vec<_>, Vec<_>) = fails.partition(|(_, told)| has_head(told));
    let also = |head: &Told| {
        let others = others.iter();
        let also = others.filter(|(_, other)| other.under.as_deref() == Some(&head.id));
        also.map(|(n, _)| *n).collect::<Vec<_>>()
    };
    let findings = heads
        .iter()
        .map(|(n, head)| [vec![*n], also(head)].concat());
    findings.collect()
}
