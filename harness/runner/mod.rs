//! From a target and a selection of checks to a report: who is tried on which server, and what is repeated.

mod abreast;
mod alarms;
mod attempt;
mod begun;
mod cases;
mod check;
mod checked;
mod chosen;
mod descriptors;
mod drawn;
mod exclusive;
mod findings;
mod interrupt;
mod merged;
mod observed;
mod parallel;
mod penalties;
mod probe;
mod run_end;
mod saved;
mod selection;
mod servers;
mod settings;
mod simplest;
mod work;
mod worth;

pub(crate) use cases::{CaseRun, Given, cases_of, run_case, run_cases};
pub use check::check;
pub(crate) use drawn::artifact_name;
pub use interrupt::Interrupt;
pub(crate) use merged::merged;
pub use saved::{SavedTrial, SavedVerdict};
pub(crate) use selection::selected;
pub(crate) use settings::Invocation;
pub use settings::Settings;
