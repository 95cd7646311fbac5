//! From a target and a selection of checks to a report: who is tried on which server, and what is repeated.

mod abreast;
mod alarms;
mod attempt;
mod audience;
mod begun;
mod cases;
mod check;
mod check_budget;
mod checked;
mod chosen;
mod company;
mod descriptors;
mod drawn;
mod exclusive;
mod findings;
mod interrupt;
mod job;
mod merged;
mod observed;
mod parallel;
mod penalties;
mod probe;
mod replayed;
mod retried;
mod rounds;
mod run_end;
mod saved;
mod scenario_files;
mod selection;
mod servers;
mod settings;
mod simplest;
mod sure;
mod told;
mod told_order;
mod unsaved;
mod work;
mod worth;

pub(crate) use audience::{Audience, Happening};
pub(crate) use cases::{
    AsBefore, CaseRun, Given, cases_of, run_case, run_cases, with_all_mistakes,
};
pub use check::check;
pub(crate) use check::not_started;
pub(crate) use drawn::{artifact_name, unreadable_saved_cases};
pub use interrupt::Interrupt;
pub(crate) use merged::merged;
pub(crate) use parallel::block_on;
pub(crate) use replayed::{Circumstances, replayed};
pub(crate) use rounds::{Rounds, in_rounds};
pub use saved::{SavedTrial, SavedVerdict};
pub(crate) use scenario_files::{BUNDLE_INDEX, prefix_below, scenario_files};
pub(crate) use selection::{glob_matches, part_of, selected, unknown_check};
pub(crate) use settings::Invocation;
pub use settings::Settings;
pub(crate) use told::{Told, perform_here};
