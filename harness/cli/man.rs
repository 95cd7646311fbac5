//! `sockdrill man`: the manual page, made of the arguments that the program takes.

use clap::Command;
use clap_mangen::Man;
use std::fmt::Write as _;
use std::io;

/// The exit codes, as the README has them.
const EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "Everything that was concluded passed."),
    ("1", "A verdict is a failure."),
    ("2", "The command line, a profile or a scenario is wrong."),
    (
        "3",
        "sockdrill or a server could not run, a file could not be read or written, or too little was concluded.",
    ),
    ("4", "Nothing was selected."),
    (
        "130",
        "Interrupted: every server has been stopped, and what was known is reported. A second interrupt ends a run at once.",
    ),
];

/// What an apostrophe is, which each part of a page says anew.
const APOSTROPHE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

/// The manual page of the program, as `man` reads it: all commands are on one page.
pub(super) fn man_page(command: Command) -> String {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let whole = Man::new(command.clone()).title("SOCKDRILL");
    let mut page = rendered(|to| {
        whole.render_title(to)?;
        whole.render_name_section(to)?;
        whole.render_synopsis_section(to)?;
        whole.render_description_section(to)
    });
    for command in command.get_subcommands() {
        let part = Man::new(command.clone());
        let sections = rendered(|to| {
            part.render_description_section(to)?;
            part.render_synopsis_section(to)?;
            part.render_options_section(to)
        });
        let sections = sections.replace(".SH DESCRIPTION\n", "");
        let title = command.get_name().to_uppercase();
        let _ = writeln!(page, ".SH \"{title}\"");
        page.push_str(&sections.replace("\n.SH ", "\n.SS "));
    }
    page.push_str(".SH \"EXIT STATUS\"\n");
    for (code, meaning) in EXIT_STATUS {
        let _ = writeln!(page, ".TP\n\\fB{code}\\fR\n{meaning}");
    }
    format!("{APOSTROPHE}{page}")
}

/// A part of a page.
fn rendered(render: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> String {
    let mut part = Vec::new();
    // Nothing is written but to memory.
    let _ = render(&mut part);
    String::from_utf8_lossy(&part).replace(APOSTROPHE, "")
}
