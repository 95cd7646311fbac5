//! Who follows a run while it lasts.

use crate::report::data::CheckResult;
use crate::session::{Board, Shown, Sight, Turn};
use std::fmt;
use std::sync::Arc;

/// Who follows a run while it lasts: he is told what happens, and sees what is being tried. Nobody, unless said otherwise. Clones
/// are the same.
#[derive(Clone, Default)]
pub(crate) struct Audience(Option<Arc<Seen>>);

struct Seen {
    board: Board,
    hear: Box<dyn Fn(Happening<'_>) + Send + Sync>,
}

/// What happens in a run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Happening<'a> {
    /// A round begins, where there are several.
    Round(usize),
    /// So many results are to come.
    Planned(usize),
    /// The check or case of this name is being tried.
    Begun(&'a str),
    /// This has come out, in whatever order; what a run finds later may still put it under another result.
    Concluded(&'a CheckResult),
}

impl Audience {
    /// Somebody who hears of what happens.
    pub(crate) fn of(hear: impl Fn(Happening<'_>) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(Seen {
            board: Board::default(),
            hear: Box::new(hear),
        })))
    }

    /// What is being tried, what began first in front.
    pub(crate) fn sights(&self) -> Vec<Sight> {
        let seen = self.0.as_ref();
        seen.map_or_else(Vec::new, |seen| seen.board.sights())
    }

    /// Tells of something.
    pub(super) fn hears(&self, happening: Happening<'_>) {
        if let Some(seen) = &self.0 {
            (seen.hear)(happening);
        }
    }

    /// Shows what is done in a turn under this name, for as long as what is returned is held.
    pub(super) fn sees(&self, name: &str, turn: &Turn) -> Option<Shown> {
        let shown = self.0.as_ref().map(|seen| seen.board.show(name));
        turn.sits_at(shown.as_ref().map(Shown::seat));
        shown
    }

    /// The same of a check or a case, which is told of too.
    pub(super) fn sees_begin(&self, id: &str, turn: &Turn) -> Option<Shown> {
        self.hears(Happening::Begun(id));
        self.sees(id, turn)
    }
}

impl fmt::Debug for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_there = self.0.is_some();
        f.debug_tuple("Audience").field(&is_there).finish()
    }
}
