//! The parts of a reproducer: definitions of one Python file, of which a program takes those that it names.

/// All definitions, in order.
const PROGRAM: &str = include_str!("program.py");

/// A definition with the comment above it.
struct Part {
    /// What a program must name one of to need it: names, or for a method its name behind a dot.
    names: Vec<String>,
    /// The class that it is a method of.
    class: Option<String>,
    text: String,
}

/// The definitions that `steps` need, straight or by way of each other, as the text before and after `steps`.
///
/// The last function and the call of it stand after the steps, everything else before them.
pub(super) fn around(steps: &str) -> (String, String) {
    let (start, end) = PROGRAM.split_at(PROGRAM.find("\n\ndef main()").unwrap_or(PROGRAM.len()));
    let (imports, start) = start.split_at(start.find("\n\n# ").unwrap_or(0));
    let parts = parts(start.trim());
    let mut needed = vec![false; parts.len()];
    let mut named = format!("{steps}\n{end}");
    // What a part names may stand before it.
    while let Some(next) = (0..parts.len()).find(|n| !needed[*n] && is_needed(&parts[*n], &named)) {
        needed[next] = true;
        named.push('\n');
        named.push_str(&parts[next].text);
    }
    let mut text = String::new();
    for import in imports
        .lines()
        .filter_map(|line| line.strip_prefix("import "))
    {
        if names(&named, &format!("{import}.")) {
            text.push_str(&format!("import {import}\n"));
        }
    }
    text.push('\n');
    let chosen = parts.iter().zip(needed).filter(|(_, needed)| *needed);
    let mut blank_before = false;
    for (part, _) in chosen {
        let is_definition = part.text.starts_with("def ") || part.text.starts_with("class ");
        // Two blank lines around what stands at the margin, one around all else.
        if is_definition || (blank_before && part.class.is_none()) {
            text.push('\n');
        }
        blank_before = is_definition || part.class.is_some();
        text.push_str(&part.text);
        text.push_str("\n\n");
    }
    (text, end.trim_start().to_owned())
}

/// The names at the margin, which steps must not take for their own.
pub(super) fn reserved() -> Vec<String> {
    let parts = parts(PROGRAM);
    let imports = PROGRAM
        .lines()
        .filter_map(|line| line.strip_prefix("import "));
    let imports = imports.map(str::to_owned).collect::<Vec<_>>();
    let outer = parts.into_iter().filter(|part| part.class.is_none());
    outer.flat_map(|part| part.names).chain(imports).collect()
}

fn is_needed(part: &Part, text: &str) -> bool {
    let class_is_needed = part.class.iter().all(|class| names(text, class));
    class_is_needed && part.names.iter().any(|name| names(text, name))
}

/// Whether `name` stands somewhere in the text as a word of its own.
fn names(text: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + name.len()..].chars().next();
        let begins = name.starts_with('.') || !before.is_some_and(is_word);
        begins && (name.ends_with('.') || !after.is_some_and(is_word))
    })
}

/// Cuts a text into definitions, a class into its beginning and its methods.
fn parts(text: &str) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut class = None;
    for block in text.split("\n\n").map(|block| block.trim_matches('\n')) {
        let code = block.lines().filter(|line| !line.starts_with('#'));
        let mut begun = code.filter_map(Begun::of);
        let (names, of) = match begun.next() {
            Some(Begun::Class(name)) => {
                class = Some(name.to_owned());
                (vec![name.to_owned()], None)
            }
            Some(Begun::Function(name)) => {
                class = None;
                (vec![name.to_owned()], None)
            }
            Some(Begun::Constant(name)) => {
                let more = begun.filter_map(|begun| match begun {
                    Begun::Constant(name) => Some(name.to_owned()),
                    _ => None,
                });
                ([name.to_owned()].into_iter().chain(more).collect(), None)
            }
            Some(Begun::Method(name)) if class.is_some() => {
                (vec![format!(".{name}")], class.clone())
            }
            Some(Begun::Method(_)) | None => {
                if let Some(last) = parts.last_mut() {
                    last.text.push_str("\n\n");
                    last.text.push_str(block);
                }
                continue;
            }
        };
        let text = block.to_owned();
        parts.push(Part {
            names,
            class: of,
            text,
        });
    }
    parts
}

/// What begins with a line, and its name.
enum Begun<'a> {
    Class(&'a str),
    Function(&'a str),
    /// What every object of a class has is no method of its own: it comes with the class.
    Method(&'a str),
    Constant(&'a str),
}

impl<'a> Begun<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let word = |text: &'a str| {
            text.split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
        };
        if let Some(rest) = line.strip_prefix("class ") {
            return word(rest).map(Self::Class);
        }
        if let Some(rest) = line.strip_prefix("def ") {
            return word(rest).map(Self::Function);
        }
        if let Some(rest) = line.strip_prefix("    def ") {
            return word(rest)
                .filter(|name| !name.starts_with("__"))
                .map(Self::Method);
        }
        let (name, _) = line.split_once(" = ")?;
        let is_constant = name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        is_constant.then_some(Self::Constant(name))
    }
}
