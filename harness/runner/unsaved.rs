//! What could not be saved of trials.

use crate::model::error::Error;
use std::sync::{Arc, Mutex};

/// What could not be saved: the verdicts stand, and the reason is told at the end. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unsaved(Arc<Mutex<Missing>>);

#[derive(Debug, Default)]
struct Missing {
    times: usize,
    /// Why the first could not be saved; the others mostly have the same reason.
    first: String,
}

impl Unsaved {
    /// This kept a trial from being saved.
    pub(super) fn add(&self, error: &Error) {
        let Ok(mut missing) = self.0.lock() else {
            return;
        };
        if missing.times == 0 {
            missing.first = error.chain();
        }
        missing.times += 1;
    }

    /// What was not saved since this was asked for the last time, in words, if anything.
    pub(crate) fn take(&self) -> Option<String> {
        let mut missing = self.0.lock().ok()?;
        let Missing { times, first } = std::mem::take(&mut *missing);
        match times {
            0 => None,
            1 => Some(first),
            times => Some(format!("{first} (and {} more)", times - 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;
    use std::path::Path;

    #[test]
    fn what_is_missing_is_told_once_with_its_first_reason() {
        let unsaved = Unsaved::default();
        assert_eq!(unsaved.take(), None);
        for (path, kind) in [("a", ErrorKind::StorageFull), ("b", ErrorKind::NotFound)] {
            unsaved.add(&Error::file("writing", Path::new(path))(kind.into()));
        }
        let told = unsaved.clone().take();
        assert_eq!(
            told.as_deref(),
            Some("writing a: no storage space (and 1 more)")
        );
        assert_eq!(unsaved.take(), None);
    }
}
