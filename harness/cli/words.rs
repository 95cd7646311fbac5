//! A command that is one argument, or one line.

use crate::model::error::Error;

/// The words of a line, as a shell reads them that expands nothing.
///
/// # Errors
/// A quote that is not closed.
pub(super) fn words(line: &str) -> Result<Vec<String>, Error> {
    shlex::split(line).ok_or_else(|| {
        Error::Usage(format!(
            "`{}` is no command line: a quote is not closed, or a backslash ends it",
            line.trim()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::command_line;

    #[test]
    fn line_is_read_back_as_a_shell_does() {
        for all in [["a b", "", "it's"], ["--port={port}", "daemon off;", "#"]] {
            assert_eq!(words(&command_line(all)).unwrap(), all);
        }
        assert_eq!(words("\n").unwrap(), [""; 0]);
        assert!(words("it's").unwrap_err().to_string().contains("`it's`"));
    }
}
