//! A Python that says of programs whether it can compile them: one process for all, as a start takes longer than a program.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

/// Reads programs, the length of each in a line before it, and answers each by a line: nothing, or what is wrong.
const COMPILES: &str = r"
import sys, warnings
warnings.simplefilter('ignore')
for line in iter(sys.stdin.buffer.readline, b''):
    program = sys.stdin.buffer.read(int(line))
    try:
        compile(program, 'program.py', 'exec')
        print(flush=True)
    except Exception as error:
        print(ascii(error), flush=True)
";

struct Python {
    process: Child,
    programs: ChildStdin,
    answers: BufReader<ChildStdout>,
}

static PYTHON: Mutex<Option<Python>> = Mutex::new(None);

/// Whether Python takes this for a program, where there is a Python.
pub(super) fn compiles(program: &str) -> Result<(), String> {
    let mut python = PYTHON.lock().unwrap_or_else(|poisoned| {
        PYTHON.clear_poison();
        poisoned.into_inner()
    });
    if python.is_none() {
        *python = Python::start();
    }
    match &mut *python {
        Some(python) => python.compiles(program),
        None => Ok(()),
    }
}

impl Python {
    fn start() -> Option<Self> {
        let mut command = Command::new("python3");
        command.args(["-I", "-S", "-c", COMPILES]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().ok()?;
        Some(Self {
            programs: process.stdin.take()?,
            answers: BufReader::new(process.stdout.take()?),
            process,
        })
    }

    fn compiles(&mut self, program: &str) -> Result<(), String> {
        let mut answer = String::new();
        let asked = writeln!(self.programs, "{}", program.len())
            .and_then(|()| self.programs.write_all(program.as_bytes()))
            .and_then(|()| self.programs.flush())
            .and_then(|()| self.answers.read_line(&mut answer));
        match (asked, answer.trim_end()) {
            (Ok(1..), "") => Ok(()),
            (Ok(1..), wrong) => Err(wrong.to_owned()),
            (ended, _) => panic!("Python has ended: {ended:?}, {:?}", self.process.wait()),
        }
    }
}
