//! The table of what is fuzzed.

use super::{laws, seeds};
use crate::kernel::fuzzing as kernel;

/// A reader of bytes that others wrote, with what must hold whatever they are.
#[derive(Clone, Copy, Debug)]
pub struct Fuzzed {
    /// Its name, which is that of the folder of inputs that it once failed on, too.
    pub name: &'static str,
    /// What mutated inputs are made of.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Reads an input, and panics where the reader does or a law is broken. Tells whether there was anything in it to hold to the
    /// laws.
    pub run: fn(&[u8]) -> bool,
}

/// Everything that is fuzzed; a new row is all that it takes.
pub const TARGETS: &[Fuzzed] = &[
    Fuzzed {
        name: "drill",
        seeds: seeds::scenarios,
        run: laws::drill,
    },
    Fuzzed {
        name: "json",
        seeds: seeds::scenarios_as_json,
        run: laws::json,
    },
    Fuzzed {
        name: "literals",
        seeds: seeds::literals,
        run: laws::literals,
    },
    Fuzzed {
        name: "template",
        seeds: seeds::templates,
        run: laws::template,
    },
    Fuzzed {
        name: "alarm",
        seeds: seeds::alarms,
        run: laws::alarm,
    },
    Fuzzed {
        name: "profile",
        seeds: seeds::profiles,
        run: laws::profile,
    },
    Fuzzed {
        name: "catalogue",
        seeds: seeds::profiles,
        run: laws::catalogue,
    },
    Fuzzed {
        name: "target",
        seeds: seeds::targets,
        run: laws::target,
    },
    Fuzzed {
        name: "python",
        seeds: seeds::scenarios,
        run: laws::python,
    },
    Fuzzed {
        name: "python-target",
        seeds: seeds::targets,
        run: laws::python_of_target,
    },
    Fuzzed {
        name: "report",
        seeds: seeds::reports,
        run: laws::report,
    },
    Fuzzed {
        name: "saved",
        seeds: seeds::saved_trials,
        run: laws::saved,
    },
    Fuzzed {
        name: "netlink",
        seeds: kernel::message_seeds,
        run: kernel::messages,
    },
    Fuzzed {
        name: "proc",
        seeds: kernel::proc_seeds,
        run: kernel::proc_files,
    },
];
